#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/base/config.h"

// NATS and JetStream as the services use them, over libnats, which stays inside the .cpp files.
namespace pepeunit::bus {

struct BusOptions {
  std::string url;    // `nats://127.0.0.1:4222`, several separated by commas
  std::string token;  // authentication; never logged
  std::string name;   // of the client, as the server's monitoring shows it
  // Subscriptions share a few threads of the process instead of having one each: for many of them.
  bool shared_threads = false;
  // For what is published `promptly`: a second connection, which sends each message at once.
  bool prompt = false;
};

// PEPEUNIT_NATS_URL and PEPEUNIT_NATS_TOKEN (a secret).
BusOptions BusOptionsFrom(Config& config, const std::string& client_name);

struct StreamOptions {
  std::string name;
  std::vector<std::string> subjects;
  std::int64_t max_bytes = -1;                 // when full, publishing fails (discard new): back-pressure, never loss
  std::chrono::seconds max_age{0};             // 0: no limit
  std::chrono::seconds duplicate_window{120};  // for message ids
  int replicas = 1;
};

struct StreamState {
  std::uint64_t messages = 0, bytes = 0, first_sequence = 0, last_sequence = 0;
  std::int64_t created_ns = 0;  // Unix time; another one means another stream, whose sequences begin again at 1
};

struct Message {
  std::string subject;
  std::string payload;
  std::uint64_t stream_sequence = 0;  // 0 for core NATS
  std::string traceparent;            // of what a DurableConsumer gets; empty when absent
};

// What became of an asynchronous publish.
struct PublishResult {
  absl::Status status;             // OK: stored on disk by the stream. UNAVAILABLE: unknown, it may be stored
  std::uint64_t sequence = 0;      // position in the stream
  bool duplicate = false;          // the message id was seen within the window
  bool sequence_mismatch = false;  // refused: expected_last_subject_sequence was not the current one (status ABORTED)
  bool stream_full = false;        // refused by the stream's bound (status RESOURCE_EXHAUSTED)
};

struct PublishOptions {
  std::optional<std::uint64_t> expected_last_subject_sequence;  // compare-and-set on the subject
  std::string message_id;                                       // deduplication; empty: none
  std::string traceparent;                                      // empty: none
  // While there is little to publish (up to some 3,000 a second) it is sent at once, not a millisecond later with
  // others; where the bus was opened for that. It may then overtake what was published before it.
  bool promptly = false;
};

class Bus;

// A core NATS subscription; ends with the object. The callback runs on a thread of the library, one message at a time.
class Subscription {
 public:
  virtual ~Subscription() = default;
};

// Reads a stream in order from a position, without acknowledgements: the reader keeps its own position (exactly-once
// consumers keep it with their data). Notices gaps and lost connections and resumes by itself. Not thread-safe.
class StreamReader {
 public:
  virtual ~StreamReader() = default;
  // Up to `max` messages; waits up to `timeout` for the first, not for more. Empty on timeout. UNAVAILABLE while the
  // bus is away; call again.
  virtual absl::StatusOr<std::vector<Message>> Fetch(std::size_t max, std::chrono::milliseconds timeout) = 0;
};

// A durable pull consumer shared by the replicas of a service; at least once. Not thread-safe.
class DurableConsumer {
 public:
  virtual ~DurableConsumer() = default;
  // Up to `max` messages; none of them counts as handled until AckFetched. What is not acknowledged within 30 s is
  // delivered again.
  virtual absl::StatusOr<std::vector<Message>> Fetch(std::size_t max, std::chrono::milliseconds timeout) = 0;
  // Acknowledges all messages of the last Fetch.
  virtual absl::Status AckFetched() = 0;
  // Gives all messages of the last Fetch back, to be delivered again at once, to whichever replica.
  virtual void ReturnFetched() = 0;
  // The position in the stream up to which every message of the filter is acknowledged, by whichever replica. The
  // largest number when none waits at all.
  virtual absl::StatusOr<std::uint64_t> AckedUpTo() = 0;
};

// A connection to the bus, made in the background and remade with backoff, so that start order does not matter.
// Thread-safe.
class Bus {
 public:
  explicit Bus(BusOptions options);
  ~Bus();

  bool connected() const;
  // UNAVAILABLE unless the server and JetStream answer within a second.
  absl::Status Ping();
  // Called on each loss of the connection and on each slow-consumer drop: what was cached from core subscriptions may
  // be stale. Runs on a thread of the library; must be quick. Add before subscribing.
  void OnGap(std::function<void()> listener);

  // Creates the stream, or brings an existing one to these options; tries again with backoff until `give_up`, then
  // UNAVAILABLE: by default a single try, for the start steps of runtime::Service repeat it.
  absl::Status EnsureStream(const StreamOptions& options,
                            std::chrono::milliseconds give_up = std::chrono::milliseconds(0));
  absl::StatusOr<StreamState> GetStreamState(const std::string& stream);
  // The newest message whose subject matches (wildcards allowed); nullopt when there is none.
  absl::StatusOr<std::optional<Message>> GetLastMessage(const std::string& stream, const std::string& subject);
  // Deletes all messages up to and with `sequence`.
  absl::Status PurgeUpTo(const std::string& stream, std::uint64_t sequence);

  // Stores a message in a stream. Does not wait: `done` is called once, on a thread of the library, within
  // `publish_timeout` (5 s), and must not block. At most `publish_window` (4096) are outstanding: one more is told
  // RESOURCE_EXHAUSTED at once, in the calling thread.
  void Publish(const std::string& subject, std::string_view payload, const PublishOptions& options,
               std::function<void(PublishResult)> done);
  // How many messages wait for their acks.
  std::size_t outstanding() const;
  // As Publish, and waits.
  PublishResult PublishAndWait(const std::string& subject, std::string_view payload, const PublishOptions& options);

  // Core NATS: at most once. `promptly`: see PublishOptions.
  absl::Status PublishCore(const std::string& subject, std::string_view payload, bool promptly = false);
  // All that was published so far has reached the server.
  absl::Status Flush(std::chrono::milliseconds timeout);
  std::unique_ptr<Subscription> Subscribe(const std::string& subject, std::function<void(const Message&)> callback);

  // `filter`: a subject with wildcards. The first message is the first at or after `from_sequence`.
  std::unique_ptr<StreamReader> ReadStream(const std::string& stream, const std::string& filter,
                                           std::uint64_t from_sequence);
  std::unique_ptr<DurableConsumer> Consume(const std::string& stream, const std::string& durable,
                                           const std::string& filter);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Names that writers and readers share.
inline constexpr char kValuesStream[] = "VALUES";
inline constexpr char kEventsStream[] = "EVENTS";
// The streams with the instance's bounds, for whichever service comes first.
StreamOptions ValuesStream(std::int64_t max_bytes, int replicas);
StreamOptions EventsStream(int replicas);
std::string ReportSubject(std::uint32_t partition, std::string_view unit_uuid);  // values.<p>.report.<uuid>
std::string InputSubject(std::uint32_t partition, std::string_view unit_uuid);   // values.<p>.input.<uuid>

}  // namespace pepeunit::bus
