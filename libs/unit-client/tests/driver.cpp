// unit_client_driver FOLDER COMMAND [NAME=NUMBER]...: one start of a device by the C++ library, for the tests in
// Python. COMMAND is `start` (what the guard does at a start) or `work` (then exchanges and steps of the update until
// there is nothing to do, or the program has to restart). Prints a JSON object. Time does not pass but by the waits it
// is told.
//   chunk=   bytes of a file that are fetched at once
//   cut=     the power goes at this change of the file system, counted from 0: exit code 9
//   free=    bytes that are said to be free
//   steps=   no more than so many
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "pepeunit/unit_client/guard.h"
#include "pepeunit/unit_client/unit.h"

namespace {

using nlohmann::json;
namespace client = pepeunit::unit_client;

class CutFiles final : public client::Files {
 public:
  CutFiles(std::int64_t cut, std::int64_t free) : cut_(cut), free_(free) {}
  std::int64_t FreeBytes(const std::filesystem::path& path) const override {
    return free_ < 0 ? Files::FreeBytes(path) : free_;
  }
  const json& changes() const { return changes_; }

 private:
  void BeforeChange(std::string_view what, const std::filesystem::path& path) override {
    if (static_cast<std::int64_t>(changes_.size()) == cut_) _exit(9);  // no destructor runs, no buffer is written
    changes_.push_back(std::string(what) + " " + path.string());
  }
  const std::int64_t cut_, free_;
  json changes_ = json::array();
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  std::map<std::string, std::int64_t> numbers = {{"chunk", 16384}, {"cut", -1}, {"free", -1}, {"steps", 5000}};
  for (int i = 3; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto at = argument.find('=');
    numbers.at(argument.substr(0, at)) = std::atoll(argument.c_str() + at + 1);
  }
  json said = json::array();
  const auto log = [&said](std::string_view line) { said.push_back(line); };
  std::int64_t now = 0;
  CutFiles files(numbers["cut"], numbers["free"]);
  client::Guard guard(argv[1], &files, log);
  const auto settled = guard.Settle();
  std::string ended = settled.ok() ? "started" : std::string(settled.message());
  if (settled.ok() && std::string_view(argv[2]) == "work") {
    client::UnitOptions options;
    options.folder = argv[1];
    options.log = log;
    options.update_chunk = static_cast<std::size_t>(numbers["chunk"]);
    options.now_ms = [&now] { return now; };
    const auto transport = client::MakeHttpTransport(std::chrono::seconds(2));
    const auto unit = client::Unit::Open(options, transport.get(), &guard);
    ended = unit.ok() ? "goes on" : std::string(unit.status().message());
    for (std::int64_t step = 0; unit.ok() && ended == "goes on" && step < numbers["steps"]; ++step) {
      now += std::max<std::int64_t>(1, (*unit)->Work());
      if (guard.WantsRestart()) {
        ended = "restart";
      } else if ((*unit)->utc_ms() && (*unit)->idle()) {
        ended = "idle";
      }
    }
  }
  std::printf("%s\n", json{{"ended", ended}, {"said", said}, {"changes", files.changes()}, {"trial", guard.OnTrial()}}
                          .dump(-1, ' ', false, json::error_handler_t::replace)
                          .c_str());
  return 0;
}
