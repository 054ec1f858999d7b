#include "pepeunit/base/trace.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "pepeunit/base/bytes.h"

namespace pepeunit {
namespace {

thread_local TraceContext current_trace;

template <std::size_t N>
bool ReadHex(std::string_view text, std::array<std::uint8_t, N>* out) {
  // The header's digits are lower case by its specification.
  if (std::any_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'F'; })) return false;
  const auto raw = HexDecode(text);
  if (!raw || raw->size() != N) return false;
  std::memcpy(out->data(), raw->data(), N);
  return true;
}

template <std::size_t N>
bool AllZero(const std::array<std::uint8_t, N>& bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; });
}

// Ids are no secrets, so the system is asked for randomness once a thread, not for each request.
std::uint64_t Random() {
  static thread_local std::mt19937_64 generator([] {
    const std::string seed = RandomBytes(8 * sizeof(std::uint64_t));
    std::uint64_t words[8];
    std::memcpy(words, seed.data(), sizeof words);
    std::seed_seq sequence(std::begin(words), std::end(words));
    return std::mt19937_64(sequence);
  }());
  return generator();
}

void SetSpan(TraceContext* context) {
  const std::uint64_t random = Random();
  std::memcpy(context->span_id.data(), &random, sizeof random);
}

}  // namespace

TraceContext TraceContext::New() {
  TraceContext context;
  const std::uint64_t random[] = {Random(), Random()};
  std::memcpy(context.trace_id.data(), random, sizeof random);
  SetSpan(&context);
  return context;
}

std::optional<TraceContext> TraceContext::Parse(std::string_view text) {
  // version "-" trace-id "-" parent-id "-" flags; later versions may append more.
  if (text.size() < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-') return std::nullopt;
  std::array<std::uint8_t, 1> version{}, flags{};
  TraceContext context;
  if (!ReadHex(text.substr(0, 2), &version) || version[0] == 0xFF) return std::nullopt;
  if (version[0] == 0 ? text.size() != 55 : (text.size() > 55 && text[55] != '-')) return std::nullopt;
  if (!ReadHex(text.substr(3, 32), &context.trace_id) || !ReadHex(text.substr(36, 16), &context.span_id) ||
      !ReadHex(text.substr(53, 2), &flags)) {
    return std::nullopt;
  }
  context.flags = flags[0];
  if (AllZero(context.trace_id) || AllZero(context.span_id)) return std::nullopt;
  return context;
}

TraceContext TraceContext::Child() const {
  TraceContext child = *this;
  SetSpan(&child);
  return child;
}

std::string TraceContext::ToTraceparent() const {
  const std::array<std::uint8_t, 1> last{flags};
  return "00-" + HexEncode(trace_id) + '-' + HexEncode(span_id) + '-' + HexEncode(last);
}

std::string TraceContext::TraceIdHex() const { return HexEncode(trace_id); }

bool TraceContext::valid() const { return !AllZero(trace_id); }

const TraceContext& CurrentTrace() { return current_trace; }

TraceScope::TraceScope(const TraceContext& context) : previous_(current_trace) { current_trace = context; }
TraceScope::~TraceScope() { current_trace = previous_; }

}  // namespace pepeunit
