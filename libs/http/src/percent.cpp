#include "pepeunit/base/bytes.h"
#include "pepeunit/http/server.h"

namespace pepeunit::http {

bool PercentDecode(std::string_view text, bool form, std::string* out) {
  out->clear();
  out->reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const auto byte = HexDecode(text.substr(i + 1, 2));
      if (!byte || byte->size() != 1 || (*byte)[0] == '\0') return false;
      *out += (*byte)[0];
      i += 2;
    } else {
      *out += form && text[i] == '+' ? ' ' : text[i];
    }
  }
  return true;
}

}  // namespace pepeunit::http
