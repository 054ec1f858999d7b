#include "updates.h"

#include <algorithm>
#include <utility>

#include "answer.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::unit_ingest {
namespace {

constexpr std::int64_t kBlockBytes = kMaxPieceBytes;
constexpr int kEntriesAtOnce = 500;  // of a manifest: what a page of 64 KiB may hold
constexpr std::int64_t kBusyMs = 2'000;

std::string BlockKey(const Profile& profile, const std::string& path, std::int64_t block) {
  return profile.repo_unit_id + '\n' + profile.target_commit + '\n' + std::to_string(block) + '\n' + path;
}

Updates::Answer Busy(std::int64_t wait_ms) { return {503, BusyAnswer(wait_ms), false, wait_ms, "update_busy"}; }

// What may pass is told as busy, everything else says that this version cannot be had so.
Updates::Answer Refusal(const absl::Status& status) {
  const std::int64_t wait = InfoOf(status).retry_after_ms;
  if (wait > 0) return Busy(wait);
  if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsCancelled(status))
    return Busy(kBusyMs);
  return {422, InvalidAnswer(status), false, 0, "update_refused"};
}

// Appends what of `block`, which begins at `at`, the ask wants. False when the file ends in it.
bool AppendFrom(const std::string& block, std::int64_t at, const FileAsk& ask, std::string* out) {
  const std::int64_t begin = std::max(ask.offset - at, std::int64_t{0});
  const std::int64_t end =
      std::min<std::int64_t>(ask.offset + ask.length - at, static_cast<std::int64_t>(block.size()));
  if (begin < end) out->append(block, static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
  return static_cast<std::int64_t>(block.size()) == kBlockBytes;
}

}  // namespace

void Updates::Handle(std::shared_ptr<const Profile> profile, std::string_view plaintext, const TraceContext& trace,
                     Done done) {
  auto ask = ParseUpdateAsk(plaintext);
  if (!ask.ok()) return done({422, InvalidAnswer(ask.status()), false, 0, "update_invalid"});
  if (profile->update_attempt == 0 || ask->commit != profile->target_commit) {
    return done({409, OtherVersionAnswer(profile->target_commit, profile->update_attempt), false, 0, "update_version"});
  }
  if (const auto* file = std::get_if<FileAsk>(&ask->what)) {
    std::string bytes;
    if (ReadKept(*profile, *file, &bytes)) return done({200, std::move(bytes), true, 0, "update_file"});
  }
  const auto shared = std::make_shared<std::pair<UpdateAsk, Done>>(*std::move(ask), std::move(done));
  const auto taken = executor_.Run({.run =
                                        [this, profile, shared, trace] {
                                          const TraceScope scope(trace);
                                          shared->second(Ask(*profile, shared->first));
                                        },
                                    .party = profile->unit.ToString()});
  if (taken != Executor::Taken::kYes) shared->second(Busy(kBusyMs));
}

Updates::Answer Updates::Ask(const Profile& profile, const UpdateAsk& ask) {
  if (const auto* file = std::get_if<FileAsk>(&ask.what)) return Read(profile, *file);
  const auto& page = std::get<ManifestAsk>(ask.what);
  const auto manifest = firmware_.Manifest(profile, page.have, page.from, kEntriesAtOnce);
  if (!manifest.ok()) return Refusal(manifest.status());
  return {200, ManifestAnswer(ask.commit, page, *manifest), false, 0, "update_manifest"};
}

bool Updates::ReadKept(const Profile& profile, const FileAsk& ask, std::string* out) {
  for (std::int64_t at = ask.offset - ask.offset % kBlockBytes; at < ask.offset + ask.length; at += kBlockBytes) {
    const auto block = blocks_.Find(BlockKey(profile, ask.path, at / kBlockBytes));
    if (!block) return false;
    if (!AppendFrom(*block, at, ask, out)) break;
  }
  return true;
}

Updates::Answer Updates::Read(const Profile& profile, const FileAsk& ask) {
  std::string out;
  for (std::int64_t at = ask.offset - ask.offset % kBlockBytes; at < ask.offset + ask.length; at += kBlockBytes) {
    const std::string key = BlockKey(profile, ask.path, at / kBlockBytes);
    auto block = blocks_.Find(key);
    if (!block) {
      auto read = firmware_.Read(profile, ask.path, at, kBlockBytes);
      if (!read.ok()) return Refusal(read.status());
      block = std::make_shared<const std::string>(std::move(*read->mutable_data()));
      if (read->shared()) blocks_.Put(key, block);
    }
    if (!AppendFrom(*block, at, ask, &out)) break;
  }
  return {200, std::move(out), true, 0, "update_file"};
}

}  // namespace pepeunit::unit_ingest
