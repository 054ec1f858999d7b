// A token as it comes; and a good one, part of which the input replaces.
#include <algorithm>

#include "fuzz.h"
#include "jws.h"
#include "memory_key_store.h"
#include "unit_tokens.h"

using namespace pepeunit;
using namespace pepeunit::crypto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static MemoryKeyStore store;
  static const auto ring = TestRing(store);
  static UnitTokens tokens(*ring);
  static const Uuid unit = Uuid::New();
  static const std::string good = *tokens.Issue(unit, 7);
  const std::string text = TextOf(data, size);
  FUZZ_CHECK(text == good || !tokens.Open(text).ok());
  (void)ParseUnitHeader(text);
  (void)ParseUnitClaims(text);
  if (size < 2) return 0;
  std::string changed = good;
  const std::size_t at = data[0] * good.size() / 256, length = std::min(size - 1, good.size() - at);
  changed.replace(at, length, text.substr(1, length));
  const auto opened = tokens.Open(changed);
  FUZZ_CHECK(opened.ok() == (changed == good));
  return 0;
}
