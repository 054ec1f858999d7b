#include "fetch.h"

#include <fcntl.h>
#include <stdio.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include "git.h"
#include "pepeunit/base/bytes.h"
#include "pepeunit/base/clock.h"
#include "pepeunit/ssh/remote_address.h"
#include "refs.h"
#include "version_files.h"

namespace pepeunit::repo_sync {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostRefs = 20'000;
constexpr std::size_t kMostBranches = 2'000;  // their tips have to fit into one event
// Every fetch adds a pack; a new clone makes them one again and drops what nothing names any more.
constexpr std::size_t kMostPacks = 24;
constexpr std::int64_t kTellMs = 500;

std::int64_t SizeOf(const fs::path& folder) {
  std::int64_t sum = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) sum += static_cast<std::int64_t>(entry.file_size());
  }
  return sum;
}

std::size_t CountPacks(const fs::path& copy) {
  std::error_code ignored;
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(copy / "objects" / "pack", ignored)) {
    count += entry.path().extension() == ".pack" ? 1 : 0;
  }
  return count;
}

// Packs never change, so they are linked, not copied; the rest is small.
void Duplicate(const fs::path& from, const fs::path& to) {
  fs::create_directories(to);
  for (const auto& entry : fs::recursive_directory_iterator(from)) {
    const fs::path target = to / fs::relative(entry.path(), from);
    if (entry.is_directory()) {
      fs::create_directories(target);
    } else if (entry.path().parent_path().filename() == "pack") {
      fs::create_hard_link(entry.path(), target);
    } else if (entry.is_regular_file()) {
      fs::copy_file(entry.path(), target);
    }
  }
}

class Fetcher {
 public:
  Fetcher(const SyncJob& job, ConnectionGuard* guard, const std::function<void(const Progress&)>& tell)
      : job_(job),
        guard_(guard),
        tell_(tell),
        copy_(fs::path(job.folder) / job.name),
        work_(fs::path(job.folder) / (".tmp-" + job.name + "-" + HexEncode(AsBytes(RandomBytes(8))))) {}
  ~Fetcher() {
    std::error_code ignored;
    fs::remove_all(work_, ignored);
  }

  SyncResult Run() {
    bool done = false;
    if (fs::exists(copy_ / "HEAD")) {
      if (IsUnchanged()) return result_;
      if (!told_.empty()) return Failed(told_);
    }
    if (fs::exists(copy_ / "HEAD") && CountPacks(copy_) < kMostPacks) {
      done = TryOnTopOfCopy();
      if (!done && !told_.empty()) return Failed(told_);  // the remote's fault: a clone would not help
    }
    if (!done) {
      result_ = SyncResult();
      if (!Renew(false) || !FetchAll()) return Failed(told_.empty() ? Explain() : told_);
      result_.size_bytes = SizeOf(work_);
      if (result_.size_bytes > job_.max_bytes) return Failed(TooLarge());
    }
    PutInPlace();
    return result_;
  }

 private:
  // Asks for the refs and nothing else. False with `told_` when the remote cannot be asked; false as well when the copy
  // is not what it should be, whatever the remote says.
  bool IsUnchanged() {
    if (git::Take(repository_, git_repository_open_bare, copy_.c_str()) != 0) return false;
    before_ = ReadRefs(repository_.get());
    if (!before_.whole || git::Take(remote_, git_remote_lookup, repository_.get(), "origin") != 0 ||
        git_remote_url(remote_.get()) != job_.url) {
      return false;
    }
    const git_fetch_options options = FetchOptions();
    if (!Connect(options)) {
      if (told_.empty()) told_ = Explain();
      return false;
    }
    std::map<std::string, std::string> advertised, kept;
    const git_remote_head** heads = nullptr;
    std::size_t count = 0;
    if (git_remote_ls(&heads, &count, remote_.get()) != 0) return false;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string name = heads[i]->name;
      const bool kind = name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
      if (kind && !name.ends_with("^{}")) advertised[name] = git::Hex(&heads[i]->oid);
    }
    for (const auto& [name, ref] : before_.all) kept[name] = ref.target;
    const std::string head = DefaultBranch();
    git_remote_disconnect(remote_.get());
    if (advertised != kept || head != before_.head) return false;
    result_.unchanged = true;
    DescribeBranches(before_);
    return true;
  }

  bool Connect(const git_fetch_options& options) {
    git_remote_connect_options connect = GIT_REMOTE_CONNECT_OPTIONS_INIT;
    connect.callbacks = options.callbacks;
    connect.follow_redirects = options.follow_redirects;
    connect.proxy_opts = options.proxy_opts;
    names_.clear();
    asked_ = 0;
    remote_failed_ = true;
    return git_remote_connect_ext(remote_.get(), GIT_DIRECTION_FETCH, &connect) == 0 && CheckAdvertised();
  }

  git_fetch_options FetchOptions() {
    git_fetch_options options = GIT_FETCH_OPTIONS_INIT;
    options.callbacks.payload = this;
    options.callbacks.credentials = OnCredentials;
    options.callbacks.transfer_progress = OnProgress;
    options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;  // the second refspec takes all of them
    options.follow_redirects = GIT_REMOTE_REDIRECT_INITIAL;
    options.proxy_opts.type = GIT_PROXY_NONE;
    return options;
  }

  // False without `told_` when the copy is damaged or would grow too large: then a new clone is due.
  bool TryOnTopOfCopy() {
    try {
      if (!Renew(true) || !FetchAll()) {
        if (told_.empty() && (remote_failed_ || guard_->problem.size() > 0)) told_ = Explain();
        return false;
      }
      result_.size_bytes = SizeOf(work_);
      return result_.size_bytes <= job_.max_bytes;
    } catch (const fs::filesystem_error&) {
      return false;
    }
  }

  // The folder to work in, with the remote; from the copy as it is, or empty.
  bool Renew(bool from_copy) {
    remote_.reset();
    repository_.reset();
    names_.clear();
    fs::remove_all(work_);
    if (from_copy) {
      Duplicate(copy_, work_);
      return git::Take(repository_, git_repository_open_bare, work_.c_str()) == 0 &&
             git::Take(remote_, git_remote_lookup, repository_.get(), "origin") == 0 &&
             git_remote_url(remote_.get()) == job_.url;
    }
    return git::Take(repository_, git_repository_init, work_.c_str(), 1u) == 0 &&
           git::Take(remote_, git_remote_create_with_fetchspec, repository_.get(), "origin", job_.url.c_str(),
                     "+refs/heads/*:refs/heads/*") == 0 &&
           git_remote_add_fetch(repository_.get(), "origin", "+refs/tags/*:refs/tags/*") == 0 &&
           git::Take(remote_, git_remote_lookup, repository_.get(), "origin") == 0;
  }

  bool FetchAll() {
    git_fetch_options options = FetchOptions();
    received_too_much_ = false;
    if (!Connect(options)) return false;
    const std::string head = DefaultBranch();
    if (git_remote_download(remote_.get(), nullptr, &options) != 0) {
      // What the copy lacks or cannot read is no fault of the remote.
      remote_failed_ = received_too_much_ || FailedOnTheWire();
      return false;
    }
    remote_failed_ = false;
    result_.received_bytes = static_cast<std::int64_t>(git_remote_stats(remote_.get())->received_bytes);
    // Before the new names: `a` may be gone and `a/b` new.
    if (git_remote_prune(remote_.get(), &options.callbacks) != 0) return false;
    if (git_remote_update_tips(remote_.get(), &options.callbacks, 0, GIT_REMOTE_DOWNLOAD_TAGS_NONE, nullptr) != 0)
      return false;
    git_remote_disconnect(remote_.get());
    return Describe(head);
  }

  bool CheckAdvertised() {
    const git_remote_head** heads = nullptr;
    std::size_t count = 0, branches = 0;
    if (git_remote_ls(&heads, &count, remote_.get()) != 0) return false;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string_view name = heads[i]->name;
      if (!name.starts_with("refs/heads/")) continue;
      ++branches;
      names_.emplace_back(name.substr(11));
    }
    if (branches == 0) told_ = "The repository is empty: it has no branches.";
    if (branches > kMostBranches) told_ = "The repository has more than 2000 branches.";
    if (count > kMostRefs) told_ = "The repository has more than 20000 branches and tags.";
    return told_.empty();
  }

  // The remote's HEAD; if it names no branch, the usual names, else the first one.
  std::string DefaultBranch() {
    git_buf buffer = GIT_BUF_INIT;
    std::string name;
    if (git_remote_default_branch(&buffer, remote_.get()) == 0) name.assign(buffer.ptr, buffer.size);
    git_buf_dispose(&buffer);
    if (name.starts_with("refs/heads/")) name = name.substr(11);
    for (const std::string& choice : {name, std::string("main"), std::string("master")}) {
      if (std::find(names_.begin(), names_.end(), choice) != names_.end()) return choice;
    }
    return names_.front();
  }

  // Fills in the result, and with it proves that the copy holds what its branches name.
  bool Describe(const std::string& head) {
    if (git_repository_set_head(repository_.get(), ("refs/heads/" + head).c_str()) != 0) return false;
    const Refs after = ReadRefs(repository_.get());
    if (!after.whole) return false;
    if (!before_.all.empty()) {
      CompareRefs(repository_.get(), before_, after, &result_);
      if (before_.head != head) result_.former_head = before_.head;
    }
    result_.checks = CheckRefs(repository_.get(), after);
    git::Reference branch;
    if (git::Take(branch, git_reference_lookup, repository_.get(), ("refs/heads/" + head).c_str()) != 0) return false;
    const git::Commit tip = git::PeelToCommit(branch.get());
    if (!tip) return false;
    result_.problems = CheckVersionFiles(repository_.get(), tip.get());
    DescribeBranches(after);
    return !result_.branches.empty();
  }

  void DescribeBranches(const Refs& refs) {
    result_.remote_head = refs.head;
    for (const auto& [name, ref] : refs.all) {
      if (name.starts_with("refs/heads/")) result_.branches.push_back({name.substr(11), ref.commit});
    }
  }

  void PutInPlace() {
    remote_.reset();
    repository_.reset();
    if (::renameat2(AT_FDCWD, work_.c_str(), AT_FDCWD, copy_.c_str(), RENAME_EXCHANGE) == 0) return;
    if (errno != ENOENT) fs::remove_all(copy_);  // a file system that cannot exchange
    fs::rename(work_, copy_);
  }

  static int OnCredentials(git_credential** out, const char*, const char*, unsigned allowed, void* payload) {
    auto* self = static_cast<Fetcher*>(payload);
    ++self->asked_;
    if (self->job_.username.empty() && self->job_.password.empty()) return GIT_EUSER;
    if (self->asked_ > 1 || (allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT) == 0) return GIT_EUSER;
    if (!self->SameHost()) {
      self->told_ = "The remote redirects to another host, which does not get the credentials.";
      return GIT_EUSER;
    }
    return git_credential_userpass_plaintext_new(out, self->job_.username.c_str(), self->job_.password.c_str());
  }

  // A redirect must not carry the credentials elsewhere.
  bool SameHost() const {
    const auto address = ssh::ParseRemoteAddress(job_.url);
    if (!address.ok()) return false;
    const auto lower = [](std::string text) {
      std::transform(text.begin(), text.end(), text.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      return text;
    };
    return lower(address->host) == lower(guard_->last_host) &&
           (address->port == guard_->last_port || guard_->last_port == "443");
  }

  static int OnProgress(const git_indexer_progress* progress, void* payload) {
    auto* self = static_cast<Fetcher*>(payload);
    self->received_too_much_ = progress->received_bytes > static_cast<std::size_t>(self->job_.max_bytes);
    if (const std::int64_t now = MonotonicMs(); now - self->told_ms_ >= kTellMs) {
      self->told_ms_ = now;
      self->tell_(
          {static_cast<std::int64_t>(progress->received_bytes), progress->received_objects, progress->total_objects});
    }
    return self->received_too_much_ ? GIT_EUSER : 0;
  }

  bool FailedOnTheWire() const {
    const git_error* error = git_error_last();
    return !guard_->problem.empty() ||
           (error != nullptr &&
            (error->klass == GIT_ERROR_NET || error->klass == GIT_ERROR_HTTP || error->klass == GIT_ERROR_SSL));
  }

  std::string TooLarge() const { return "The repository is larger than " + std::to_string(job_.max_bytes) + " bytes."; }

  // The last failure in words for the repository's owner.
  std::string Explain() const {
    if (received_too_much_) return TooLarge();
    if (!guard_->problem.empty()) return guard_->problem;
    const std::string message = git::LastMessage();
    const auto says = [&](const char* text) { return message.find(text) != std::string::npos; };
    if (asked_ > 0 && job_.username.empty() && job_.password.empty()) {
      return "The remote needs authentication: it is private, or there is no such repository.";
    }
    if (asked_ > 1 || says("status code: 401")) return "The remote refused the user name or the password.";
    if (says("status code: 403")) return "The remote refused access (403).";
    if (says("status code: 404") || says("invalid content-type") || says("protocol error") || says("pkt")) {
      return "There is no git repository at this address.";
    }
    const git_error* error = git_error_last();
    if (error != nullptr && error->klass == GIT_ERROR_SSL)
      return "The remote's certificate is not valid: " + message + ".";
    if (error != nullptr && (error->klass == GIT_ERROR_OS || error->klass == GIT_ERROR_NOMEMORY)) {
      return "The copy could not be written: " + message + ".";
    }
    return "The remote could not be read: " + message + ".";
  }

  SyncResult Failed(const std::string& error) const {
    SyncResult failed;
    failed.error = error;
    return failed;
  }

  const SyncJob& job_;
  ConnectionGuard* guard_;
  const std::function<void(const Progress&)>& tell_;
  const fs::path copy_, work_;
  git::Repository repository_;
  git::Remote remote_;
  std::vector<std::string> names_;  // of the remote's branches
  std::string told_;                // why it failed, when that is known already
  int asked_ = 0;                   // how often the remote wanted credentials
  bool received_too_much_ = false, remote_failed_ = false;
  std::int64_t told_ms_ = 0;
  Refs before_;  // of the copy as it is
  SyncResult result_;
};

}  // namespace

SyncResult Fetch(const SyncJob& job, ConnectionGuard* guard, const std::function<void(const Progress&)>& tell) {
  try {
    return Fetcher(job, guard, tell).Run();
  } catch (const fs::filesystem_error& error) {
    SyncResult failed;
    failed.error = "The copy could not be written: " + error.code().message() + ".";
    return failed;
  }
}

}  // namespace pepeunit::repo_sync
