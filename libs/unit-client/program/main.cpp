#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "absl/strings/numbers.h"
#include "pepeunit/base/absl_compat.h"
#include "supervisor.h"

namespace {

constexpr char kHelp[] =
    "Usage: pepeunit-unit [OPTION]... FOLDER [COMMAND [ARGUMENT]...]\n"
    "Runs the program of a unit: COMMAND (default ./main) in FOLDER, which is the unpacked archive of the unit.\n"
    "Exchanges with the instance for it, and brings it to new versions over the air; one that does not hold is taken\n"
    "back.\n\n"
    "The program writes lines of JSON:  {\"output_variables\": {\"temperature\": 21.5}, \"unit_state\": {\"board\": "
    "\"pi\"}}\n"
    "and reads lines of JSON:           {\"input_variables\": {\"target\": 20}}\n"
    "A line {} says that it is well. Other lines, and standard error, go to standard error.\n\n"
    "  --trial-s=300    time that a new version has for its first exchange\n"
    "  --poll-s=10      inputs are asked for at least so often\n"
    "  --timeout-s=10   of a request\n"
    "  --max-queue=1000 readings that wait while the instance cannot be reached\n"
    "  --help, --version\n";

// Consumes `--name=value` of a number greater than 0; `bad` is set when the value is none.
bool TakeNumber(std::string_view argument, std::string_view name, double* value, bool* bad) {
  if (!argument.starts_with(name)) return false;
  *bad = !absl::SimpleAtod(pepeunit::ToAbsl(argument.substr(name.size())), value) || !(*value > 0 && *value <= 1e9);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  double trial_s = 300, poll_s = 10, timeout_s = 10, max_queue = 1000;
  int at = 1;
  for (; at < argc && std::string_view(argv[at]).starts_with("--"); ++at) {
    const std::string_view argument = argv[at];
    if (argument == "--help") return std::fputs(kHelp, stdout) < 0;
    if (argument == "--version") return std::puts("pepeunit-unit " PEPEUNIT_VERSION) < 0;
    bool bad = false;
    if (!TakeNumber(argument, "--trial-s=", &trial_s, &bad) && !TakeNumber(argument, "--poll-s=", &poll_s, &bad) &&
        !TakeNumber(argument, "--timeout-s=", &timeout_s, &bad) &&
        !TakeNumber(argument, "--max-queue=", &max_queue, &bad)) {
      bad = true;
    }
    if (bad) {
      std::fprintf(stderr, "pepeunit-unit: %s is not an option, or not a number greater than 0. See --help.\n",
                   argv[at]);
      return 2;
    }
  }
  if (at == argc) {
    std::fputs("pepeunit-unit: which FOLDER? See --help.\n", stderr);
    return 2;
  }
  pepeunit::unit_program::Settings settings;
  settings.unit.folder = argv[at];
  settings.unit.max_queue = static_cast<std::size_t>(std::max(1.0, max_queue));
  settings.unit.poll_ms = static_cast<std::int64_t>(poll_s * 1000);
  settings.unit.gather_ms = std::min<std::int64_t>(settings.unit.gather_ms, settings.unit.poll_ms);
  settings.unit.log = [](std::string_view line) {
    std::fprintf(stderr, "pepeunit: %.*s\n", static_cast<int>(line.size()), line.data());
  };
  settings.trial_ms = static_cast<std::int64_t>(trial_s * 1000);
  settings.timeout_ms = static_cast<std::int64_t>(timeout_s * 1000);
  if (at + 1 < argc) settings.command.assign(argv + at + 1, argv + argc);

  // Two at once would replace each other's files.
  const int folder = open(argv[at], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) {
    std::fprintf(stderr, "pepeunit-unit: %s is not a folder that can be read\n", argv[at]);
    return 1;
  }
  if (flock(folder, LOCK_EX | LOCK_NB) != 0) {
    std::fprintf(stderr, "pepeunit-unit: %s is in use by another pepeunit-unit\n", argv[at]);
    return 1;
  }
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&set, number);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return pepeunit::unit_program::Supervisor(std::move(settings)).Run();
}
