#include "worker.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <thread>

#include "remote.h"

using namespace pepeunit::repo_sync;

namespace {

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
  for (int i = 0; i < 3; ++i) CHECK(RunJob(remote.Job()).size_bytes == rewritten.size_bytes);
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
    CHECK(RunInProcess({.program = PEPEUNIT_WORKER}, job, [] { return false; }).error == "The sync was stopped.");
  }
  SECTION("no program") {
    CHECK(RunInProcess({.program = "/nonexistent"}, job, [] { return true; }).error ==
          "The sync could not be started.");
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
  const SyncResult result = RunInProcess({.program = PEPEUNIT_WORKER}, job, [&] {
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
