#include "worker.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <functional>
#include <thread>

#include "remote.h"

using namespace pepeunit::repo_sync;

namespace {

constexpr char kGoodSchema[] = R"({"output_variables": {"t": {"type": "number"}}})";

namespace fs = std::filesystem;

const std::string kSchema = R"({"output_variables": {"t": {"type": "number"}}})";

std::string CopyOf(const Remote& remote) { return remote.copies() + "/" + Remote::kName; }

std::string Lines(const std::string& command) { return Output(command + " 2>/dev/null || true"); }

// Accepts connections and never answers.
struct Stalling {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int port = 0;
  Stalling() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
    ::listen(fd, 8);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
  }
  ~Stalling() { ::close(fd); }
};

// A server that answers each request with the same head, and then with what `more` gives for as long as somebody takes
// it.
class Answering {
 public:
  explicit Answering(std::string head, std::function<std::string()> more = nullptr)
      : head_(std::move(head)), more_(std::move(more)), thread_([this] { Serve(); }) {}
  ~Answering() {
    ::shutdown(listening_.fd, SHUT_RDWR);
    thread_.join();
  }
  int port() const { return listening_.port; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port()) + "/r.git"; }

 private:
  void Serve() {
    for (int fd; (fd = ::accept4(listening_.fd, nullptr, nullptr, SOCK_CLOEXEC)) >= 0; ::close(fd)) {
      char request[8192];
      std::string text = head_;
      while (::recv(fd, request, sizeof request, 0) > 0) {
        while (!text.empty() && ::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()))
          text = more_ ? more_() : "";
        if (more_) break;
        text = head_;
      }
    }
  }

  Stalling listening_;
  const std::string head_;
  const std::function<std::string()> more_;
  std::thread thread_;
};

}  // namespace

TEST_CASE("a clone has all branches and tags, and the remote's default as HEAD", "[R2]") {
  Remote remote;
  remote.Write("schema.json", kSchema);
  remote.Write("env_example.json", "{}");
  const std::string first = remote.Commit("first");
  remote.Git("branch dev");
  remote.Git("tag -a v1 -m one");
  remote.Push();
  const SyncResult result = RunJob(remote.Job());
  REQUIRE(result.error == "");
  REQUIRE(result.branches.size() == 2);
  CHECK(result.branches[0].name == "dev");
  CHECK(result.branches[1].name == "main");
  CHECK(result.branches[1].commit == first);
  CHECK(result.remote_head == "main");
  CHECK(result.problems.empty());
  CHECK(result.size_bytes > 0);
  CHECK(Output("git -C " + CopyOf(remote) + " rev-parse 'v1^{commit}'") == first);
  CHECK(Output("git -C " + CopyOf(remote) + " symbolic-ref HEAD") == "refs/heads/main");
  CHECK(Output("git -C " + CopyOf(remote) + " fsck --strict 2>&1") == "");
}

TEST_CASE("a fetch brings what is new, takes away what is gone and follows a rewritten history", "[R2]") {
  Remote remote;
  remote.Write("a", "1");
  remote.Commit("first");
  remote.Git("branch topic");
  remote.Push();
  REQUIRE(RunJob(remote.Job()).error == "");
  remote.Write("a", "2");
  const std::string second = remote.Commit("second");
  remote.Git("branch -D topic");
  remote.Git("branch topic/new");  // a folder where a branch was
  remote.Push();
  const SyncResult fetched = RunJob(remote.Job());
  REQUIRE(fetched.error == "");
  REQUIRE(fetched.branches.size() == 2);
  CHECK(fetched.branches[0].commit == second);
  CHECK(fetched.branches[1].name == "topic/new");
  remote.Git("commit -q --amend -m other");
  remote.Push();
  const SyncResult rewritten = RunJob(remote.Job());
  REQUIRE(rewritten.error == "");
  CHECK(rewritten.branches[0].commit == remote.Git("rev-parse HEAD"));
  // A pack for each: what was there was not fetched again.
  CHECK(Output("ls " + CopyOf(remote) + "/objects/pack/*.pack | wc -l") == "3");
  for (int i = 0; i < 3; ++i) CHECK(RunJob(remote.Job()).unchanged);
  CHECK(Output("ls -A " + remote.copies()) == Remote::kName);
}

TEST_CASE("a copy that is damaged is cloned anew", "[R2]") {
  Remote remote;
  remote.Commit("first");
  remote.Push();
  REQUIRE(RunJob(remote.Job()).error == "");
  Output("rm -rf " + CopyOf(remote) + "/objects/pack/*");
  CHECK(RunJob(remote.Job()).error == "");
  CHECK(Output("git -C " + CopyOf(remote) + " fsck 2>&1") == "");
}

TEST_CASE("of a remote that did not change nothing but its refs is asked for", "[R2]") {
  Remote remote;
  remote.Commit("first");
  remote.Git("tag light");
  remote.Git("tag -a heavy -m x");
  remote.Push();
  REQUIRE(RunJob(remote.Job()).error == "");
  remote.Requests();
  const std::string before = Output("ls -lR --time-style=full-iso " + CopyOf(remote));
  const SyncResult same = RunJob(remote.Job());
  CHECK(same.error == "");
  CHECK(same.unchanged);
  CHECK(same.remote_head == "main");
  REQUIRE(same.branches.size() == 1);
  CHECK(same.received_bytes == 0);
  CHECK(remote.Requests() == "GET /r.git/info/refs?service=git-upload-pack 200\n");
  CHECK(Output("ls -lR --time-style=full-iso " + CopyOf(remote)) == before);
  // Whatever of it is another one is seen.
  remote.Git("tag -d light");
  remote.Push();
  const SyncResult less = RunJob(remote.Job());
  CHECK_FALSE(less.unchanged);
  REQUIRE(less.changes.size() == 1);
  CHECK(less.changes[0].kind == RefChange::Kind::kDeleted);
  CHECK(less.changes[0].ref == "refs/tags/light");
}

TEST_CASE("what became of branches and tags is told", "[R2]") {
  Remote remote;
  const std::string first = remote.Commit("first");
  remote.Git("branch moved");
  remote.Git("branch rewritten");
  remote.Git("branch gone");
  remote.Git("tag v1");
  remote.Push();
  const SyncResult clone = RunJob(remote.Job());
  CHECK(clone.change_count == 0);
  CHECK(clone.received_bytes > 100);
  const std::string second = remote.Commit("second");
  remote.Git("branch -f moved main");
  remote.Git("branch -D gone");
  remote.Git("branch added");
  remote.Git("tag -f v1");
  remote.Git("checkout -q --orphan anew");
  const std::string other = remote.Commit("other");
  remote.Git("branch -f rewritten");
  remote.Git("checkout -q main");
  remote.Git("branch -D anew");
  remote.Push();
  const SyncResult result = RunJob(remote.Job());
  REQUIRE(result.error == "");
  std::string told;
  for (const RefChange& c : result.changes) {
    const auto name = [&](const std::string& commit) {
      return commit == first ? "first" : commit == second ? "second" : commit == other ? "other" : "-";
    };
    told += std::to_string(static_cast<int>(c.kind)) + " " + c.ref + " " + name(c.from) + " " + name(c.to) + "\n";
  }
  CHECK(told ==
        "1 refs/heads/added - second\n2 refs/heads/main first second\n2 refs/heads/moved first second\n"
        "3 refs/heads/rewritten first other\n2 refs/tags/v1 first second\n4 refs/heads/gone first -\n");
  CHECK(result.change_count == 6);
  CHECK(result.former_head == "");
}

TEST_CASE("a default branch that vanishes gives way to another one", "[R2]") {
  Remote remote;
  remote.Commit("first");
  remote.Git("branch second");
  remote.Push();
  REQUIRE(RunJob(remote.Job()).remote_head == "main");
  remote.Git("checkout -q second");
  remote.Git("branch -D main");
  Output("git -C " + remote.work() + "/../root/r.git config receive.denyDeleteCurrent ignore");
  remote.Push();
  const SyncResult result = RunJob(remote.Job());
  REQUIRE(result.error == "");
  CHECK(result.remote_head == "second");
  CHECK(result.former_head == "main");
  CHECK(RunJob(remote.Job()).unchanged);
}

TEST_CASE("every branch and tag is looked at, those with the same files once", "[R3]") {
  Remote remote;
  remote.Write("schema.json", kGoodSchema);
  remote.Write("env_example.json", "{}");
  remote.Commit("good");
  remote.Git("tag good");
  remote.Write("schema.json", "{\n \"input_variables\": 3\n}");
  const std::string bad = remote.Commit("bad");
  remote.Git("tag bad");
  remote.Git("checkout -q -b broken");
  remote.Git("rm -q env_example.json");
  remote.Commit("none");
  remote.Git("checkout -q main");
  remote.Git("reset -q --hard good");
  remote.Push();
  const SyncResult result = RunJob(remote.Job());
  REQUIRE(result.error == "");
  CHECK(result.problems.empty());
  REQUIRE(result.checks.size() == 2);
  CHECK(result.checks[0].ref == "refs/heads/broken");
  CHECK(result.checks[0].problems.size() >= 2);
  CHECK(result.checks[1].ref == "refs/tags/bad");
  CHECK(result.checks[1].commit == bad);
  REQUIRE_FALSE(result.checks[1].problems.empty());
  CHECK(result.checks[1].problems[0].line == 2);
  CHECK(result.checks[1].problems[0].field == "input_variables");
}

TEST_CASE("a long history with many tags is cloned, and asked for once when it did not change", "[R2]") {
  Remote remote;
  remote.Write("schema.json", kGoodSchema);
  remote.Write("env_example.json", "{}");
  remote.Commit("root");
  // One stream for git, for 10,000 commits by hand take minutes.
  std::string stream;
  for (int i = 1; i <= 10'000; ++i) {
    stream += "commit refs/heads/main\ncommitter Ada <ada@example.org> " + std::to_string(1'700'000'000 + i) +
              " +0000\ndata 1\nx\n" + (i == 1 ? "from refs/heads/main^0\n" : "") + "M 100644 inline counter\ndata " +
              std::to_string(std::to_string(i).size()) + "\n" + std::to_string(i) + "\n";
    if (i % 50 == 0) stream += "reset refs/tags/v" + std::to_string(i) + "\nfrom refs/heads/main^0\n\n";
  }
  remote.Write("../stream", stream);
  Output("git -C " + remote.work() + " fast-import --quiet < " + remote.work() + "/../stream");
  remote.Push();
  const SyncResult result = RunJob(remote.Job(), std::chrono::seconds(60));
  REQUIRE(result.error == "");
  CHECK(result.checks.empty());
  CHECK(Output("git -C " + CopyOf(remote) + " rev-list --count main") == "10001");
  CHECK(Output("git -C " + CopyOf(remote) + " tag | wc -l") == "200");
  CHECK(RunJob(remote.Job()).unchanged);
}

TEST_CASE("problems of the files are told with a good sync", "[R3]") {
  Remote remote;
  remote.Write("schema.json", "{\n \"input_variables\": 3\n}");
  remote.Commit("first");
  remote.Push();
  const SyncResult result = RunJob(remote.Job());
  REQUIRE(result.error == "");
  REQUIRE(result.problems.size() >= 2);
  CHECK(result.problems[0].file == "schema.json");
  CHECK(result.problems[0].line == 2);
  CHECK(std::any_of(result.problems.begin(), result.problems.end(),
                    [](const auto& p) { return p.file == "env_example.json" && p.message == "the file is missing"; }));
}

TEST_CASE("what cannot be cloned is told in words", "[R2]") {
  Remote remote;
  SyncJob job = remote.Job();
  SECTION("empty") { CHECK(RunJob(job).error == "The repository is empty: it has no branches."); }
  SECTION("no repository") {
    job.url = remote.url("other.git");
    CHECK(RunJob(job).error == "There is no git repository at this address.");
  }
  SECTION("nobody listens") {
    job.url = "http://127.0.0.1:1/r.git";
    CHECK(RunJob(job).error == "The host 127.0.0.1 cannot be reached: Connection refused.");
  }
  SECTION("private address") {
    job.private_remotes = "127.0.0.1:1 git.example.org:80";
    for (const char* host : {"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.1.2.3", "169.254.169.254"}) {
      job.url = std::string("http://") + host + ":9/r.git";
      CHECK(RunJob(job).error.find("has a private address") != std::string::npos);
    }
  }
  SECTION("a private address that may be") {
    job.private_remotes = "git.example.org:80 127.0.0.1:1";
    job.url = "http://127.0.0.1:1/r.git";
    CHECK(RunJob(job).error == "The host 127.0.0.1 cannot be reached: Connection refused.");
  }
  SECTION("too long") {
    const Stalling server;
    job.url = "http://127.0.0.1:" + std::to_string(server.port) + "/r.git";
    CHECK(RunJob(job, std::chrono::milliseconds(500)).error == "The sync took longer than 500 ms.");
  }
  SECTION("stopped") {
    const Stalling server;
    job.url = "http://127.0.0.1:" + std::to_string(server.port) + "/r.git";
    CHECK(RunInProcess({.program = PEPEUNIT_WORKER}, job, [](const Progress&) { return false; }).error ==
          "The sync was stopped.");
  }
  SECTION("no program") {
    CHECK(RunInProcess({.program = "/nonexistent"}, job, [](const Progress&) { return true; }).error ==
          "The sync could not be started.");
  }
  CHECK(fs::is_empty(remote.copies()));
}

TEST_CASE("a hostile remote is cut off", "[R2]") {
  Remote remote;
  SyncJob job = remote.Job();
  job.max_bytes = 1 << 20;
  const std::string ok = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n";
  SECTION("that lists refs for ever") {
    const std::string begin = ok + "001e# service=git-upload-pack\n0000";
    Answering server(begin, [i = 0]() mutable {
      std::string refs;
      for (int n = 0; n < 500; ++n) {
        char line[128];
        const int size = std::snprintf(line, sizeof line, "004c%040d refs/heads/branch-%012d\n", 1, i++);
        if (size != 0x4c) throw std::logic_error("pkt-line");
        refs += line;
      }
      return refs;
    });
    job.url = server.url();
    CHECK(RunJob(job).error == "The remote sends more than 17825792 bytes.");
  }
  SECTION("that sends no git") {
    Answering server(ok, [] { return std::string(4096, 'x'); });
    job.url = server.url();
    CHECK(RunJob(job).error != "");
  }
  SECTION("that redirects to a private address") {
    const Stalling inside;
    Answering server("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:" + std::to_string(inside.port) +
                     "/r.git/info/refs?service=git-upload-pack\r\nContent-Length: 0\r\n\r\n");
    job.url = server.url();
    job.private_remotes = "127.0.0.1:" + std::to_string(server.port());
    CHECK(RunJob(job).error.find("has a private address") != std::string::npos);
  }
  SECTION("that redirects for ever") {
    Answering server(
        "HTTP/1.1 302 Found\r\nLocation: /r.git/info/refs?service=git-upload-pack\r\nContent-Length: 0\r\n\r\n");
    job.url = server.url();
    CHECK(RunJob(job).error != "");
  }
  CHECK(fs::is_empty(remote.copies()));
}

TEST_CASE("a repository above the bound is refused and the copy stays as it was", "[R5]") {
  Remote remote;
  const std::string first = remote.Commit("small");
  remote.Push();
  SyncJob job = remote.Job();
  job.max_bytes = 200'000;
  REQUIRE(RunJob(job).error == "");
  Output("head -c 400000 /dev/urandom > " + remote.work() + "/noise");
  remote.Commit("large");
  remote.Push();
  CHECK(RunJob(job).error == "The repository is larger than 200000 bytes.");
  CHECK(Output("git -C " + CopyOf(remote) + " rev-parse main") == first);
  CHECK(Output("ls -A " + remote.copies()) == Remote::kName);
}

TEST_CASE("credentials open a private remote and are left nowhere", "[R4]") {
  Remote remote("ada:s3cret-word");
  remote.Commit("first");
  remote.Push();
  SyncJob job = remote.Job();
  CHECK(RunJob(job).error == "The remote needs authentication: it is private, or there is no such repository.");
  job.username = "ada";
  job.password = "wrong-word";
  CHECK(RunJob(job).error == "The remote refused the user name or the password.");
  job.password = "s3cret-word";
  REQUIRE(RunJob(job).error == "");
  CHECK(Lines("grep -r s3cret-word " + remote.copies()) == "");
  CHECK(Lines("grep -r ada: " + remote.copies() + "/*/config") == "");
}

TEST_CASE("a worker's command line and environment hold no secret", "[R4]") {
  Remote remote;
  const Stalling server;
  SyncJob job = remote.Job();
  job.url = "http://127.0.0.1:" + std::to_string(server.port) + "/r.git";
  job.username = "ada";
  job.password = "s3cret-word";
  ::setenv("PEPEUNIT_INSTANCE_KEY", "s3cret-key", 1);
  std::string seen;
  const SyncResult result = RunInProcess({.program = PEPEUNIT_WORKER}, job, [&](const Progress&) {
    seen = Lines("cat /proc/$(pgrep -f -P " + std::to_string(::getpid()) + " -- '--worker$')/cmdline | tr '\\0' ' '") +
           "|" +
           Lines("cat /proc/$(pgrep -f -P " + std::to_string(::getpid()) + " -- '--worker$')/environ | tr '\\0' ' '");
    return false;
  });
  ::unsetenv("PEPEUNIT_INSTANCE_KEY");
  CHECK(result.error == "The sync was stopped.");
  CHECK(seen.find("--worker") != std::string::npos);
  CHECK(seen.find("s3cret") == std::string::npos);
}

TEST_CASE("jobs and results survive the pipe") {
  SyncJob job{.url = "https://example.org/\"r\"",
              .username = "a",
              .password = "\n",
              .folder = "/f",
              .name = "n",
              .max_bytes = 5,
              .private_remotes = "a:1 b:2"};
  const auto read = ReadJob(WriteJob(job));
  REQUIRE(read);
  CHECK(read->url == job.url);
  CHECK(read->password == "\n");
  CHECK(read->private_remotes == "a:1 b:2");
  SyncResult result;
  result.branches.push_back({"caf\xE9", "0123"});  // not UTF-8
  CHECK(ReadResult(WriteResult(result)).has_value());
  CHECK_FALSE(ReadJob("{}"));
  CHECK_FALSE(ReadResult("[1"));
}
