#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "pepeunit/rpc/status.h"

namespace pepeunit::rpc {

// The sending end of a stream whose messages come in their own time: it holds no thread while it waits for them, nor
// for the caller to take them. Made by Calls::Feed. Thread-safe; it may outlive its call.
template <typename Message>
class Outlet {
 public:
  // At most `most` messages wait for the caller.
  explicit Outlet(std::size_t most) : most_(most) {}

  // False when the stream is over, or as many messages wait as may.
  bool Push(Message message) {
    std::lock_guard lock(mutex_);
    if (over_ || queue_.size() >= most_) return false;
    queue_.push_back(std::move(message));
    Go();
    return true;
  }

  // Ends the stream with this status: what waits is dropped. Only the first end counts.
  void End(const absl::Status& status) {
    std::lock_guard lock(mutex_);
    EndWith(ToGrpc(status));
  }

  // How many messages Push takes before it is false.
  std::size_t room() const {
    std::lock_guard lock(mutex_);
    return over_ ? 0 : most_ - queue_.size();
  }
  // How many the caller's side of the connection has taken.
  std::uint64_t taken() const {
    std::lock_guard lock(mutex_);
    return taken_;
  }
  // It was ended, or the caller went away.
  bool over() const {
    std::lock_guard lock(mutex_);
    return over_;
  }

  // What gRPC tells; for Calls.
  class Reactor final : public grpc::ServerWriteReactor<Message> {
   public:
    explicit Reactor(std::shared_ptr<Outlet> outlet) : outlet_(std::move(outlet)) { outlet_->reactor_ = this; }
    void OnWriteDone(bool ok) override {
      const auto outlet = outlet_;  // this may be gone before the lock is
      std::lock_guard lock(outlet->mutex_);
      outlet->writing_ = false;
      if (ok) ++outlet->taken_;
      if (!ok) outlet->EndWith(grpc::Status::CANCELLED);
      outlet->Go();
    }
    void OnCancel() override {
      const auto outlet = outlet_;
      std::lock_guard lock(outlet->mutex_);
      outlet->EndWith(grpc::Status::CANCELLED);
    }
    void OnDone() override { delete this; }

   private:
    const std::shared_ptr<Outlet> outlet_;
  };

  // The handler has returned, and needs the request no more; with an error the stream ends.
  void Open(const absl::Status& status) {
    std::lock_guard lock(mutex_);
    open_ = true;
    if (!status.ok()) EndWith(ToGrpc(status));
    Go();
  }

 private:
  void EndWith(const grpc::Status& status) {
    if (over_) return;
    over_ = true;
    status_ = status;
    queue_.clear();
    Go();
  }

  void Go() {
    if (!open_ || writing_ || reactor_ == nullptr) return;
    if (over_) {
      std::exchange(reactor_, nullptr)->Finish(status_);  // which may delete it
    } else if (!queue_.empty()) {
      writing_ = true;
      current_ = std::move(queue_.front());
      queue_.pop_front();
      reactor_->StartWrite(&current_);
    }
  }

  const std::size_t most_;
  mutable std::mutex mutex_;
  Reactor* reactor_ = nullptr;
  std::deque<Message> queue_;
  Message current_;  // while it is written
  std::uint64_t taken_ = 0;
  bool open_ = false, writing_ = false, over_ = false;
  grpc::Status status_;
};

}  // namespace pepeunit::rpc
