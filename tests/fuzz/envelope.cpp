// The first byte chooses: an envelope as it comes, or one with a good tag around whatever the rest is.
#include "pepeunit/envelope/envelope.h"

#include "fuzz.h"

using namespace pepeunit;
using namespace pepeunit::envelope;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static const Keys keys = Keys::Derive(AsBytes(std::string_view("0123456789abcdef0123456789abcdef")));
  static const Uuid unit = *Uuid::Parse("0190163d-8694-739b-aea5-966c26f8ad91");
  const std::string rest = TextOf(data + 1, size - 1);
  const auto kind = static_cast<Kind>(1 + data[0] % 6);
  if (data[0] < 128) {
    const auto header = Peek(AsBytes(rest));
    const auto opened = OpenRequest(keys, AsBytes(rest), kind);
    // Nobody makes a tag by chance.
    FUZZ_CHECK(!opened.ok());
    FUZZ_CHECK(!OpenAnswer(keys, Tag{}, AsBytes(rest), kind).ok());
    if (header.ok()) FUZZ_CHECK(rest.size() >= kOverheadBytes + 16);
    return 0;
  }
  std::string sealed;
  SealRequest(keys, unit, size, rest, &sealed, kind);
  const auto opened = OpenRequest(keys, AsBytes(sealed), kind);
  FUZZ_CHECK(opened.ok() && opened->plaintext == rest && opened->header.sequence == size &&
             opened->tag == TagOf(AsBytes(sealed)));
  const std::size_t at = (data[0] * 257u + size) % sealed.size();
  sealed[at] = static_cast<char>(sealed[at] ^ (1 << (data[0] % 8)));
  FUZZ_CHECK(!OpenRequest(keys, AsBytes(sealed), kind).ok());
  return 0;
}
