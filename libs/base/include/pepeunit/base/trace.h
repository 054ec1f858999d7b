#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// W3C Trace Context (https://www.w3.org/TR/trace-context/): one id follows a request through HTTP, gRPC and NATS.
namespace pepeunit {

struct TraceContext {
  std::array<std::uint8_t, 16> trace_id{};
  std::array<std::uint8_t, 8> span_id{};
  std::uint8_t flags = 1;

  static TraceContext New();
  // The `traceparent` header; nullopt when it is malformed or all zero.
  static std::optional<TraceContext> Parse(std::string_view traceparent);
  TraceContext Child() const;         // the same trace, a new span
  std::string ToTraceparent() const;  // 55 characters
  std::string TraceIdHex() const;     // 32 characters
  bool valid() const;
};

// The context of the work that this thread is doing; invalid when there is none. Logs and outgoing calls read it.
const TraceContext& CurrentTrace();

// Sets the thread's context for its own lifetime.
class TraceScope {
 public:
  explicit TraceScope(const TraceContext& context);
  ~TraceScope();
  TraceScope(const TraceScope&) = delete;
  TraceScope& operator=(const TraceScope&) = delete;

 private:
  TraceContext previous_;
};

}  // namespace pepeunit
