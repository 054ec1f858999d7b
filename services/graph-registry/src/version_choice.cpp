#include "version_choice.h"

namespace pepeunit::graph_registry {
namespace {

bool IsCommit(const std::string& text) {
  return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

void CheckPin(const graph::v1::VersionChoice& pin, Fields* fields) {
  const auto name = [&](const char* field, const std::string& value) {
    if (value.empty() || value.size() > 255) fields->Fail(field, "must have 1 to 255 characters");
  };
  switch (pin.choice_case()) {
    case graph::v1::VersionChoice::kBranch:
      return name("pin.branch", pin.branch());
    case graph::v1::VersionChoice::kTag:
      return name("pin.tag", pin.tag());
    case graph::v1::VersionChoice::kCommit:
      if (!IsCommit(pin.commit())) fields->Fail("pin.commit", "must have 40 lower-case hex digits");
      return;
    case graph::v1::VersionChoice::CHOICE_NOT_SET:
      fields->Fail("pin", "must name a branch, a tag or a commit");
  }
}

}  // namespace pepeunit::graph_registry
