#include "worker.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "fetch.h"
#include "git.h"
#include "ssh_transport.h"

namespace pepeunit::repo_sync {
namespace {

using Json = nlohmann::json;
constexpr std::int64_t kMostListing = 16 << 20;  // refs, beside what the copy is made of
constexpr rlim_t kMemoryBytes = 1u << 30;        // address space, of which libraries take the most

void Bound(int resource, rlim_t most) {
  const rlimit limit{.rlim_cur = most, .rlim_max = most};
  ::setrlimit(static_cast<__rlimit_resource>(resource), &limit);
}

std::string ReadAll(int fd, std::size_t most) {
  std::string text;
  char piece[4096];
  for (ssize_t got; text.size() < most && (got = ::read(fd, piece, sizeof piece)) > 0;)
    text.append(piece, static_cast<std::size_t>(got));
  return text;
}

Json WriteProblems(const std::vector<schema::Problem>& problems) {
  Json json = Json::array();
  for (const auto& p : problems) json.push_back({p.file, p.line, p.field, p.message, p.warning});
  return json;
}

std::vector<schema::Problem> ReadProblems(const Json& json) {
  std::vector<schema::Problem> problems;
  for (const Json& p : json) problems.push_back({p.at(0), p.at(1), p.at(2), p.at(3), p.at(4)});
  return problems;
}

bool WriteLine(std::string line) {
  line += '\n';
  for (std::size_t sent = 0; sent < line.size();) {
    const ssize_t wrote = ::write(STDOUT_FILENO, line.data() + sent, line.size() - sent);
    if (wrote <= 0) return false;
    sent += static_cast<std::size_t>(wrote);
  }
  return true;
}

SyncResult Sync(const SyncJob& job, ConnectionGuard* guard, const std::function<void(const Progress&)>& tell) {
  const auto address = ssh::ParseRemoteAddress(job.url);
  if (!address.ok()) {
    SyncResult failed;
    failed.error = "The address " + std::string(address.status().message()) + ".";
    return failed;
  }
  SshRemote remote{.address = *address,
                   .password = job.password,
                   .private_key = job.private_key,
                   .passphrase = job.passphrase,
                   .pinned = job.pinned_host_key};
  if (ssh::IsSsh(*address)) InstallSsh(&remote, guard);
  SyncResult result = Fetch(job, guard, tell);
  result.host_key = remote.host_key;
  return result;
}

}  // namespace

std::string WriteJob(const SyncJob& job) {
  return Json{{"url", job.url},
              {"username", job.username},
              {"password", job.password},
              {"folder", job.folder},
              {"name", job.name},
              {"max_bytes", job.max_bytes},
              {"private_remotes", job.private_remotes},
              {"private_key", job.private_key},
              {"passphrase", job.passphrase},
              {"pinned_host_key", job.pinned_host_key}}
      .dump();
}

std::optional<SyncJob> ReadJob(const std::string& text) try {
  const Json json = Json::parse(text);
  return SyncJob{.url = json.at("url"),
                 .username = json.at("username"),
                 .password = json.at("password"),
                 .folder = json.at("folder"),
                 .name = json.at("name"),
                 .max_bytes = json.at("max_bytes"),
                 .private_remotes = json.at("private_remotes"),
                 .private_key = json.at("private_key"),
                 .passphrase = json.at("passphrase"),
                 .pinned_host_key = json.at("pinned_host_key")};
} catch (const Json::exception&) {
  return std::nullopt;
}

std::string WriteResult(const SyncResult& result) {
  Json json = {{"error", result.error},
               {"host_key", result.host_key},
               {"unchanged", result.unchanged},
               {"received_bytes", result.received_bytes},
               {"change_count", result.change_count},
               {"former_head", result.former_head},
               {"remote_head", result.remote_head},
               {"size_bytes", result.size_bytes},
               {"changes", Json::array()},
               {"checks", Json::array()},
               {"branches", Json::array()},
               {"problems", WriteProblems(result.problems)}};
  for (const RefChange& c : result.changes) json["changes"].push_back({static_cast<int>(c.kind), c.ref, c.from, c.to});
  for (const RefCheck& c : result.checks) json["checks"].push_back({c.ref, c.commit, WriteProblems(c.problems)});
  for (const Tip& tip : result.branches) json["branches"].push_back({tip.name, tip.commit});
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);  // names come from outside
}

std::optional<SyncResult> ReadResult(const std::string& text) try {
  const Json json = Json::parse(text);
  SyncResult result;
  result.error = json.at("error");
  result.host_key = json.at("host_key");
  result.unchanged = json.at("unchanged");
  result.received_bytes = json.at("received_bytes");
  result.change_count = json.at("change_count");
  result.former_head = json.at("former_head");
  result.remote_head = json.at("remote_head");
  result.size_bytes = json.at("size_bytes");
  for (const Json& tip : json.at("branches")) result.branches.push_back({tip.at(0), tip.at(1)});
  for (const Json& c : json.at("changes"))
    result.changes.push_back({static_cast<RefChange::Kind>(c.at(0).get<int>()), c.at(1), c.at(2), c.at(3)});
  for (const Json& c : json.at("checks")) result.checks.push_back({c.at(0), c.at(1), ReadProblems(c.at(2))});
  result.problems = ReadProblems(json.at("problems"));
  return result;
} catch (const Json::exception&) {
  return std::nullopt;
}

std::string WriteProgress(const Progress& p) {
  return Json{{"progress", {p.received_bytes, p.received_objects, p.total_objects}}}.dump();
}

std::optional<Progress> ReadProgress(const std::string& text) try {
  if (!text.starts_with("{\"progress\"")) return std::nullopt;
  const Json json = Json::parse(text).at("progress");
  return Progress{json.at(0), json.at(1), json.at(2)};
} catch (const Json::exception&) {
  return std::nullopt;
}

int RunWorker() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_DUMPABLE, 0);  // a core or /proc/<pid>/mem would show the credentials
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // then a write fails instead, with words
  const auto job = ReadJob(ReadAll(STDIN_FILENO, 1u << 20));
  if (!job) return 2;
  Bound(RLIMIT_CORE, 0);
  Bound(RLIMIT_FSIZE, static_cast<rlim_t>(job->max_bytes) * 2 + (1u << 20));
#ifndef PEPEUNIT_SANITIZED  // sanitizers reserve terabytes of addresses
  Bound(RLIMIT_AS, kMemoryBytes);
#endif
  const git::Library library;
  if (const char* file = std::getenv("SSL_CERT_FILE")) git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, file, nullptr);
  ConnectionGuard guard;
  guard.private_remotes = job->private_remotes;
  guard.most_bytes = job->max_bytes + kMostListing;
  InstallGuard(&guard);
  const auto tell = [](const Progress& progress) { WriteLine(WriteProgress(progress)); };
  return WriteLine(WriteResult(Sync(*job, &guard, tell))) ? 0 : 1;
}

}  // namespace pepeunit::repo_sync
