#include "pepeunit/base/trace.h"

#include <catch2/catch.hpp>

using namespace pepeunit;

TEST_CASE("traceparent round trip") {
  const char* text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const auto context = TraceContext::Parse(text);
  REQUIRE(context);
  CHECK(context->ToTraceparent() == text);
  CHECK(context->Child().trace_id == context->trace_id);
  CHECK(context->Child().span_id != context->span_id);
}

TEST_CASE("malformed traceparents are refused") {
  for (const char* text : {"", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
                           "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                           "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                           "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                           "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra"}) {
    CHECK_FALSE(TraceContext::Parse(text));
  }
  CHECK(TraceContext::Parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra"));
}

TEST_CASE("a scope sets and restores the thread's context") {
  CHECK_FALSE(CurrentTrace().valid());
  {
    TraceScope scope(TraceContext::New());
    CHECK(CurrentTrace().valid());
  }
  CHECK_FALSE(CurrentTrace().valid());
}
