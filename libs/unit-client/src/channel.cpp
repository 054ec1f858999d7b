#include "channel.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "pepeunit/base/absl_compat.h"

namespace pepeunit::unit_client {

std::string Channel::Seal(std::uint64_t sequence, std::string_view plaintext, envelope::Kind kind) const {
  std::string sealed;
  envelope::SealRequest(identity_.keys, identity_.unit, sequence, plaintext, &sealed, kind);
  return sealed;
}

Channel::Answer Channel::Ask(std::string_view path, std::uint64_t sequence, const std::string& sealed,
                             std::size_t most) {
  Answer answer;
  answer.http = transport_->Post(absl::StrCat(identity_.url, ToAbsl(path)), identity_.token, sealed, most);
  const std::string body = std::move(answer.http.body);
  const auto header = envelope::Peek(AsBytes(body));
  if (!answer.http.error.empty() || !header.ok()) return answer;
  if (header->unit != identity_.unit || header->sequence != sequence) return answer;
  envelope::Tag tag;
  std::copy_n(sealed.end() - envelope::kTagBytes, envelope::kTagBytes, tag.begin());
  auto opened = envelope::OpenAnswer(identity_.keys, tag, AsBytes(body), header->kind);
  if (!opened.ok()) return answer;
  answer.text = std::move(opened->plaintext);
  answer.kind = header->kind;
  return answer;
}

}  // namespace pepeunit::unit_client
