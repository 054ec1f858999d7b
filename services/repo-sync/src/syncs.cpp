#include "syncs.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "pepeunit/base/clock.h"
#include "pepeunit/base/errors.h"
#include "pepeunit/base/log.h"
#include "pepeunit/base/trace.h"

namespace pepeunit::repo_sync {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kLease{30};
constexpr std::int64_t kRenewMs = 10'000;
constexpr seconds kPoll{2};  // for what becomes due by time, or through another process
constexpr seconds kCompare{60};
constexpr std::chrono::hours kLeftover{1};  // far longer than a sync may take

}  // namespace

Syncs::Syncs(RepositoryStore& store, CredentialBox& credentials, SyncSettings settings, prometheus::Registry* metrics)
    : store_(store), credentials_(credentials), settings_(std::move(settings)) {
  if (metrics == nullptr) return;
  syncs_ = &prometheus::BuildCounter().Name("pepeunit_repo_syncs_total").Help("Syncs by result").Register(*metrics);
  seconds_ = &prometheus::BuildHistogram()
                  .Name("pepeunit_repo_sync_seconds")
                  .Help("Time of a sync")
                  .Register(*metrics)
                  .Add({}, prometheus::Histogram::BucketBoundaries{0.1, 0.3, 1, 3, 10, 30, 60, 120, 300});
}

absl::Status Syncs::Start() {
  std::error_code error;
  fs::create_directories(settings_.folder, error);
  if (error || ::access(settings_.folder.c_str(), R_OK | W_OK | X_OK) != 0) {
    return absl::InvalidArgumentError("PEPEUNIT_REPOSITORIES_DIR cannot be written");
  }
  for (int i = 0; i < settings_.workers; ++i) threads_.emplace_back([this] { Work(); });
  threads_.emplace_back([this] { Watch(); });
  return absl::OkStatus();
}

void Syncs::Stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

void Syncs::Wake() {
  {
    std::lock_guard lock(mutex_);
    ++wakes_;
  }
  wake_.notify_all();
}

bool Syncs::Sleep(milliseconds time) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, time, [&] { return stop_.load(); });
  return !stop_;
}

void Syncs::Work() {
  std::uint64_t seen = 0;
  while (!stop_) {
    {
      std::lock_guard lock(mutex_);
      seen = wakes_;
    }
    const TraceScope scope(TraceContext::New());
    const auto taken = store_.TakeDue(kLease);
    if (taken.ok() && taken->has_value()) {
      Run(**taken);
      continue;
    }
    if (!taken.ok()) log::Warning("what is due cannot be read", {{"status", taken.status()}});
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, kPoll, [&] { return stop_ || wakes_ != seen; });
  }
}

void Syncs::Run(const Taken& taken) {
  const std::string id = taken.wanted.id.ToString();
  const std::int64_t began_ms = MonotonicMs();
  bool lost = false;
  const SyncResult result = Sync(taken, &lost);
  if (stop_ && !result.error.empty()) {
    if (const auto status = store_.Release(taken); !status.ok())
      log::Warning("a lease stays until it ends", {{"status", status}});
    return;
  }
  // The outcome is worth some patience: without it the sync is done again when the lease ends.
  absl::StatusOr<bool> stored = false;
  for (int tries = 0; !lost && tries < 5; ++tries) {
    stored = store_.Finish(taken, result);
    if (stored.ok() || !Sleep(seconds(2))) break;
  }
  if (!stored.ok())
    return log::Warning("a sync's outcome could not be stored", {{"repo_unit", id}, {"status", stored.status()}});
  if (!*stored) {
    const auto state = store_.Get(taken.wanted.id);
    if (state.ok() && !state->has_value()) Remove(taken.wanted.id);
    return;
  }
  Observe(result, began_ms);
  log::Info(
      "synced",
      {{"repo_unit", id}, {"error", result.error}, {"bytes", result.size_bytes}, {"ms", MonotonicMs() - began_ms}});
}

SyncResult Syncs::Sync(const Taken& taken, bool* lost) {
  SyncJob job{.url = taken.wanted.url,
              .username = {},
              .password = {},
              .folder = settings_.folder,
              .name = taken.wanted.id.ToString(),
              .max_bytes = settings_.max_bytes,
              .private_remotes = settings_.private_remotes,
              .pinned_host_key = taken.wanted.host_key};
  SyncResult failed;
  if (!taken.wanted.sealed_credentials.empty()) {
    auto opened = credentials_.Open(taken.wanted.id, taken.wanted.sealed_credentials);
    if (!opened.ok()) {
      log::Warning("credentials cannot be opened", {{"repo_unit", job.name}, {"status", opened.status()}});
      failed.error = "The credentials cannot be opened now; the sync is tried again.";
      return failed;
    }
    job.username = std::move(opened->username);
    job.password = std::move(opened->password);
    job.private_key = std::move(opened->private_key);
    job.passphrase = std::move(opened->passphrase);
  }
  std::int64_t renewed_ms = MonotonicMs();
  SyncResult result = RunInProcess(settings_.worker, job, [&](const Progress& progress) {
    if (stop_) return false;
    if (const auto told = store_.Tell(taken, progress); !told.ok())
      log::Debug("how far a sync is cannot be told", {{"status", told}});
    if (MonotonicMs() - renewed_ms < kRenewMs) return true;
    const auto held = store_.Renew(taken, kLease);
    // While PostgreSQL is away the lease may end; then Finish notices.
    if (held.ok()) renewed_ms = MonotonicMs();
    *lost = held.ok() && !*held;
    return !*lost;
  });
  for (std::string* secret : {&job.password, &job.private_key, &job.passphrase})
    ::explicit_bzero(secret->data(), secret->size());
  return result;
}

void Syncs::Observe(const SyncResult& result, std::int64_t began_ms) {
  if (syncs_ == nullptr) return;
  syncs_->Add({{"result", result.error.empty() ? "ready" : "failed"}}).Increment();
  seconds_->Observe(static_cast<double>(MonotonicMs() - began_ms) / 1000);
}

void Syncs::Watch() {
  do {
    if (const auto status = Compare(); !status.ok())
      log::Warning("the copies could not be compared", {{"status", status}});
  } while (Sleep(kCompare));
}

void Syncs::Remove(const Uuid& id) {
  std::error_code error;
  // Out of the way first: removing is not one step.
  const fs::path copy = fs::path(settings_.folder) / id.ToString();
  const fs::path aside = fs::path(settings_.folder) / (".tmp-" + id.ToString() + "-removed-" + Uuid::New().ToString());
  fs::rename(copy, aside, error);
  if (error) return;
  fs::remove_all(aside, error);
  if (error) log::Warning("a copy could not be removed", {{"repo_unit", id.ToString()}, {"error", error.message()}});
}

absl::Status Syncs::Compare() {
  // The folder first: what appears in it later may have a row that the list does not show yet.
  std::vector<Uuid> copies;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(settings_.folder, error)) {
    const std::string name = entry.path().filename().string();
    if (const auto id = Uuid::Parse(name)) copies.push_back(*id);
    std::error_code ignored;
    if (name.starts_with(".tmp-") && fs::file_time_type::clock::now() - entry.last_write_time(ignored) > kLeftover) {
      fs::remove_all(entry.path(), ignored);
    }
  }
  if (error) return Unavailable("PEPEUNIT_REPOSITORIES_DIR cannot be read");
  PEPEUNIT_ASSIGN_OR_RETURN(const auto ids, store_.ListIds());
  const std::set<Uuid> known(ids.begin(), ids.end()), present(copies.begin(), copies.end());
  for (const Uuid& id : copies) {
    if (!known.contains(id)) Remove(id);
  }
  PEPEUNIT_ASSIGN_OR_RETURN(const auto synced, store_.ListSynced());
  for (const Uuid& id : synced) {
    if (present.contains(id) || fs::exists(fs::path(settings_.folder) / id.ToString())) continue;
    PEPEUNIT_RETURN_IF_ERROR(store_.MarkMissing(id));
    Wake();
  }
  return absl::OkStatus();
}

}  // namespace pepeunit::repo_sync
