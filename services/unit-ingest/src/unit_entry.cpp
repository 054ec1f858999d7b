#include "unit_entry.h"

#include <algorithm>

#include "device_socket.h"

namespace pepeunit::unit_ingest {

bool UnitEntry::TakeTurn(std::function<void()> task) {
  {
    std::lock_guard lock(mutex_);
    if (busy_) {
      if (waiting_.size() >= kMostWaiting) return false;
      waiting_.push_back(std::move(task));
      return true;
    }
    busy_ = true;
  }
  task();
  return true;
}

void UnitEntry::EndTurn() {
  std::function<void()> next;
  {
    std::lock_guard lock(mutex_);
    if (waiting_.empty()) {
      busy_ = false;
      return;
    }
    next = std::move(waiting_.front());
    waiting_.pop_front();
  }
  next();
}

std::shared_ptr<const Profile> UnitEntry::profile() const {
  std::lock_guard lock(mutex_);
  return profile_;
}

std::uint64_t UnitEntry::BeginLoad() {
  std::lock_guard lock(mutex_);
  return epoch_;
}

bool UnitEntry::FinishLoad(std::uint64_t epoch, Loaded loaded) {
  std::unique_lock lock(mutex_);
  if (epoch != epoch_) return false;
  profile_ = loaded.profile;
  for (auto& [id, value] : loaded.inputs) {
    // An event that came during the load may be newer.
    InputValue& kept = inputs_[id];
    if (value.stream_sequence >= kept.stream_sequence) kept = std::move(value);
  }
  standing = std::move(loaded.standing);
  standing_known = true;
  seen_ = standing;
  const auto sockets = sockets_;
  lock.unlock();
  for (const auto& socket : sockets) socket->Resume(loaded.profile);
  return true;
}

std::optional<Standing> UnitEntry::seen() const {
  std::lock_guard lock(mutex_);
  return seen_;
}

void UnitEntry::See(const Standing& now) {
  std::lock_guard lock(mutex_);
  seen_ = now;
}

std::int64_t UnitEntry::TakeHello(std::int64_t now_ms) {
  std::lock_guard lock(mutex_);
  return hellos_.Take(now_ms);
}

std::int64_t UnitEntry::TakeUpdate(std::int64_t now_ms) {
  std::lock_guard lock(mutex_);
  return updates_.Take(now_ms);
}

void UnitEntry::SetCommit(const std::string& commit) {
  std::lock_guard lock(mutex_);
  if (commit_ != commit) commit_ = commit;
}

void UnitEntry::Invalidate() {
  {
    std::lock_guard lock(mutex_);
    ++epoch_;
    profile_ = nullptr;
  }
  for (const auto& socket : Sockets()) socket->Suspend();
}

void UnitEntry::ApplyInput(const Uuid& input, InputValue value) {
  {
    std::lock_guard lock(mutex_);
    InputValue& kept = inputs_[input];
    if (value.stream_sequence <= kept.stream_sequence) return;
    kept = std::move(value);
  }
  for (const auto& socket : Sockets()) socket->InputChanged(input);
}

std::vector<std::shared_ptr<DeviceSocket>> UnitEntry::Sockets() const {
  if (!has_sockets()) return {};
  std::lock_guard lock(mutex_);
  return sockets_;
}

void UnitEntry::AddSocket(const std::shared_ptr<DeviceSocket>& socket) {
  std::shared_ptr<DeviceSocket> oldest;
  {
    std::lock_guard lock(mutex_);
    sockets_.push_back(socket);
    if (sockets_.size() > kMostSockets) {
      oldest = std::move(sockets_.front());
      sockets_.erase(sockets_.begin());
    }
    socket_count_ = sockets_.size();
  }
  if (oldest) oldest->GiveWay();
}

void UnitEntry::RemoveSocket(const std::shared_ptr<DeviceSocket>& socket) {
  std::lock_guard lock(mutex_);
  std::erase(sockets_, socket);
  socket_count_ = sockets_.size();
}

void UnitEntry::RefuseSockets() {
  for (const auto& socket : Sockets()) socket->Refuse();
}

std::vector<std::string> UnitEntry::InputTexts(const Profile& profile) const {
  std::vector<std::string> texts;
  texts.reserve(profile.inputs.size());
  std::lock_guard lock(mutex_);
  for (const Input& input : profile.inputs) texts.push_back(InputTextLocked(input));
  return texts;
}

std::string UnitEntry::InputText(const Input& input) const {
  std::lock_guard lock(mutex_);
  return InputTextLocked(input);
}

std::string UnitEntry::InputTextLocked(const Input& input) const {
  const auto found = inputs_.find(input.id);
  const nlohmann::json& value =
      found == inputs_.end() || found->second.stream_sequence == 0 ? input.default_value : found->second.value;
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool UnitEntry::Offers(const Profile& profile) const {
  std::lock_guard lock(mutex_);
  return profile.update_attempt > 0 && !commit_.empty() && commit_ != profile.target_commit;
}

void UnitEntry::CountRefusals(const std::vector<bus::v1::LinkRefusals>& refusals) {
  for (const auto& refusal : refusals) {
    const auto [counted, fresh] = refusals_.try_emplace(refusal.link_id(), refusal);
    if (fresh) continue;
    counted->second.set_unfit(counted->second.unfit() + refusal.unfit());
    counted->second.set_beyond_fan_out(counted->second.beyond_fan_out() + refusal.beyond_fan_out());
  }
}

void UnitEntry::TellRefusals(bus::v1::Report* report) {
  while (!refusals_.empty() && report->refusals_size() < kMostRefusals) {
    const auto next = refusals_.begin();
    *report->add_refusals() = std::move(next->second);
    refusals_.erase(next);
  }
}

}  // namespace pepeunit::unit_ingest
