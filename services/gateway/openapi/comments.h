#pragma once

#include <google/protobuf/descriptor.h>

#include <string>

namespace pepeunit::gateway {

// What proto/ says above a definition: paragraphs are kept, the lines of one are joined. Empty when nothing is said.
template <typename Descriptor>
std::string CommentOf(const Descriptor& descriptor);

std::string JoinLines(const std::string& comment);
// The first sentence, without its full stop.
std::string FirstSentence(const std::string& text);

template <typename Descriptor>
std::string CommentOf(const Descriptor& descriptor) {
  google::protobuf::SourceLocation location;
  if (!descriptor.GetSourceLocation(&location)) return {};
  return JoinLines(location.leading_comments.empty() ? location.trailing_comments : location.leading_comments);
}

}  // namespace pepeunit::gateway
