#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "pepeunit/bus/bus.h"

namespace pepeunit::bus {

// JetStream's answer to a publish, for example `{"stream":"VALUES", "seq":7}`, with `"duplicate": true`, or
// `{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 5"},"stream":"VALUES","seq":0}`
// (https://docs.nats.io/reference/reference-protocols/nats_api_reference). Read by hand: it is on the way of every
// reading, and only three facts of it matter.
PublishResult ParseAck(std::string_view text);

struct StreamPosition {
  std::uint64_t stream_sequence = 0;
  std::uint64_t consumer_sequence = 0;
};
// The positions in the reply subject of a delivered message: `$JS.ACK.<stream>.<consumer>.<delivered>.<stream
// seq>.<consumer seq>.<time>.<pending>`, or with domain and account before the stream. nullopt on anything else.
std::optional<StreamPosition> ParseReply(std::string_view reply);

}  // namespace pepeunit::bus
