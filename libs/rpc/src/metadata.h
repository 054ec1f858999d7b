#pragma once

// The metadata that internal calls carry. Names as gRPC wants them: lower case.
namespace pepeunit::rpc {

inline constexpr char kInstanceKey[] = "pepeunit-instance-key";
inline constexpr char kCaller[] = "pepeunit-caller";
inline constexpr char kIfMatch[] = "pepeunit-if-match";
inline constexpr char kIdempotencyKey[] = "pepeunit-idempotency-key";
inline constexpr char kClientAddress[] = "pepeunit-client-address";
inline constexpr char kTraceparent[] = "traceparent";

}  // namespace pepeunit::rpc
