#include <arpa/inet.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "remote.h"

using namespace pepeunit;
using namespace pepeunit::repo_sync;

namespace {

// A remote that OpenSSH's server serves too.
struct SshServed {
  Remote remote;
  std::string folder = remote.copies().substr(0, remote.copies().rfind('/')) + "/ssh";
  std::unique_ptr<Helper> server;
  std::string user;
  int port = 0;
  nlohmann::json host_keys;

  SshServed() {
    std::filesystem::create_directories(folder);
    remote.Write("schema.json", "{}");
    remote.Commit("first");
    remote.Git("tag v1");
    remote.Push();
  }

  // False: it cannot be had here, which is said.
  bool Serve(const std::vector<std::string>& more = {}) {
    server.reset();
    std::vector<std::string> command = {PEPEUNIT_SOURCE_DIR "/tests/ssh-remote", "--folder", folder, "--port",
                                        std::to_string(port)};
    command.insert(command.end(), more.begin(), more.end());
    server = std::make_unique<Helper>(command);
    const auto told = nlohmann::json::parse(server->line(), nullptr, false);
    if (!told.is_object()) {
      WARN("skipped: no SSH server can be had here, as told on standard error");
      return false;
    }
    port = told.at("port");
    user = told.at("user");
    host_keys = told.at("host_keys");
    return true;
  }
  std::string HostKey(const char* kind) const { return host_keys.at(kind); }

  // A private key; one that may sign in, or a stranger's.
  std::string Key(const std::string& kind, const std::string& passphrase = "", bool may = true) {
    const std::string path = folder + "/client";
    std::filesystem::remove(path);
    Output("ssh-keygen -q " + kind + " -N '" + passphrase + "' -f " + path);
    if (may) Output("cat " + path + ".pub >>" + folder + "/authorized_keys");
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  SyncJob Job(const std::string& key) const {
    SyncJob job = remote.Job();
    job.url = "ssh://" + user + "@127.0.0.1:" + std::to_string(port) + remote.root() + "/r.git";
    job.private_key = key;
    return job;
  }
  void ForgetCopy() const { std::filesystem::remove_all(remote.copies() + "/" + Remote::kName); }
};

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE_METHOD(SshServed, "remotes over SSH are cloned and fetched with keys of each kind", "[R2][R4]") {
  if (!Serve()) return;
  for (const char* kind : {"-t ed25519", "-t ecdsa -b 521", "-t rsa -b 3072", "-t rsa -b 2048 -m PEM",
                           "-t rsa -b 2048 -m PKCS8", "-t ecdsa -b 384 -m PEM"}) {
    CAPTURE(kind);
    SyncJob job = Job(Key(kind));
    const SyncResult cloned = RunJob(job);
    REQUIRE(cloned.error == "");
    CHECK(cloned.remote_head == "main");
    CHECK(cloned.host_key == HostKey("ed25519"));
    CHECK(RunJob(job).error == "");
    ForgetCopy();
    job.private_key = Key(kind, "open sesame");
    CHECK(RunJob(job).error ==
          "The private key cannot be read: its passphrase is missing or wrong, or it is of a kind that is not known.");
    job.passphrase = "open sesam";
    CHECK(Has(RunJob(job).error, "its passphrase is missing or wrong"));
    job.passphrase = "open sesame";
    CHECK(RunJob(job).error == "");
    ForgetCopy();
  }
  remote.Write("more", "x");
  const std::string second = remote.Commit("second");
  remote.Push();
  const SyncResult fetched = RunJob(Job(Key("-t ed25519")));
  REQUIRE(fetched.branches.size() == 1);
  CHECK(fetched.branches[0].commit == second);
}

TEST_CASE_METHOD(SshServed, "a remote over SSH may be asked for as scp writes it, and with pasted line ends",
                 "[R1][R2]") {
  if (!Serve()) return;
  std::string key = Key("-t ed25519");
  for (std::size_t at = 0; (at = key.find('\n', at)) != std::string::npos; at += 2) key.replace(at, 1, "\r\n");
  SyncJob job = Job(key);
  REQUIRE(RunJob(job).error == "");
  job.url = user + "@127.0.0.1:" + remote.root() + "/r.git";
  job.private_remotes = "127.0.0.1:" + std::to_string(port);  // port 22 is not opened
  CHECK(Has(RunJob(job).error, "has a private address"));
}

TEST_CASE_METHOD(SshServed, "who may not sign in, and what is not there, is told in words", "[R2][R4]") {
  if (!Serve()) return;
  CHECK(RunJob(Job(Key("-t ed25519", "", false))).error == "The remote refused the key for the user " + user + ".");
  SyncJob job = Job(Key("-t ed25519"));
  job.url.replace(job.url.rfind("r.git"), 5, "x'y.git");
  const std::string missing = RunJob(job).error;
  CHECK(Has(missing, "There is no git repository at this address, or " + user + " may not read it. The remote says: "));
  CHECK(Has(missing, "x'y.git"));
  job = Job("");
  job.password = "guess";
  CHECK(RunJob(job).error == "The remote refused the password for the user " + user + ".");
  job = Job("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n");
  CHECK(Has(RunJob(job).error, "The private key cannot be read"));
  CHECK(std::filesystem::is_empty(remote.copies()));
}

TEST_CASE_METHOD(SshServed, "a password opens a remote over SSH", "[R2][R4]") {
  if (!Serve({"--password", "s3cret word"})) return;
  SyncJob job = Job("");
  job.password = "s3cret word";
  CHECK(RunJob(job).error == "");
  CHECK(Output("grep -r 's3cret word' " + remote.copies() + " || true") == "");
}

TEST_CASE_METHOD(SshServed, "a host key of any kind may be pinned; another one ends the sync before anything is told",
                 "[R2]") {
  if (!Serve()) return;
  SyncJob job = Job(Key("-t ed25519"));
  for (const char* kind : {"rsa", "ecdsa", "ed25519"}) {
    CAPTURE(kind);
    job.pinned_host_key = HostKey(kind);
    const SyncResult result = RunJob(job);
    CHECK(result.error == "");
    CHECK(result.host_key == HostKey(kind));
  }
  const std::string before = HostKey("ed25519");
  Output("rm " + folder + "/host_*");
  REQUIRE(Serve());
  REQUIRE(HostKey("ed25519") != before);
  Output("truncate -s 0 " + folder + "/sshd.log");
  const SyncResult changed = RunJob(job);
  CHECK(Has(changed.error, "it is " + HostKey("ed25519") + ", and " + before + " is pinned."));
  CHECK(Has(changed.error, "`ssh_host_key`"));
  CHECK(changed.host_key == HostKey("ed25519"));
  CHECK_FALSE(Has(Output("cat " + folder + "/sshd.log"), "publickey"));
  job.pinned_host_key = changed.host_key;
  CHECK(RunJob(job).error == "");
  REQUIRE(Serve({"--host-keys", "rsa"}));  // the kind that was pinned is gone
  CHECK(Has(RunJob(job).error, "it is " + HostKey("rsa") + ", and " + changed.host_key + " is pinned."));
}

TEST_CASE_METHOD(SshServed, "the address policy and the bounds hold over SSH", "[R2][R5]") {
  if (!Serve()) return;
  SyncJob job = Job(Key("-t ed25519"));
  SECTION("private addresses") {
    job.private_remotes = "127.0.0.1:22";
    for (const char* host : {"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.1.2.3", "169.254.169.254"}) {
      CAPTURE(host);
      job.url = "ssh://" + user + "@" + host + ":" + std::to_string(port) + "/r.git";
      CHECK(Has(RunJob(job).error, "has a private address"));
    }
    job.private_remotes = "127.0.0.1:" + std::to_string(port);
    job.url = "ssh://" + user + "@127.0.0.1:" + std::to_string(port) + remote.root() + "/r.git";
    CHECK(RunJob(job).error == "");
  }
  SECTION("size") {
    job.max_bytes = 100'000;
    Output("head -c 400000 /dev/urandom >" + remote.work() + "/noise");
    remote.Commit("large");
    remote.Push();
    CHECK(RunJob(job).error == "The repository is larger than 100000 bytes.");
  }
  CHECK(Output("ls -A " + remote.copies() + " | grep -c tmp || true") == "0");
}

namespace {

// Says the first line of SSH, or nothing, and then no more.
struct Mute {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = 0;
  std::thread thread;
  explicit Mute(const std::string& hello) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
    ::listen(fd, 8);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    thread = std::thread([this, hello] {
      const int peer = ::accept(fd, nullptr, nullptr);
      (void)!::write(peer, hello.data(), hello.size());
      char piece[4096];
      while (::read(peer, piece, sizeof piece) > 0) {
      }
      ::close(peer);
    });
  }
  ~Mute() {
    thread.join();
    ::close(fd);
  }
};

SyncJob MuteJob(const Remote& remote, int port) {
  SyncJob job = remote.Job();
  job.url = "ssh://git@127.0.0.1:" + std::to_string(port) + "/r.git";
  job.password = "s3cret-word";
  return job;
}

}  // namespace

TEST_CASE("a server that stalls is cut off", "[R2]") {
  Remote remote;
  for (const char* hello : {"", "SSH-2.0-x\r\n"}) {
    CAPTURE(hello);
    const Mute server(hello);
    CHECK(RunJob(MuteJob(remote, server.port), std::chrono::milliseconds(700)).error ==
          "The sync took longer than 700 ms.");
  }
  const Mute server("");
  const auto began = std::chrono::steady_clock::now();
  CHECK(
      Has(RunJob(MuteJob(remote, server.port)).error, "There is no SSH server at 127.0.0.1 that answers as it should"));
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(20));
}

TEST_CASE("a server that speaks something else is told in words", "[R2]") {
  Remote remote;
  const Mute server("HTTP/1.1 400 Bad Request\r\n\r\n" + std::string(70'000, 'x'));
  CHECK(Has(RunJob(MuteJob(remote, server.port)).error, "There is no SSH server at 127.0.0.1"));
}
