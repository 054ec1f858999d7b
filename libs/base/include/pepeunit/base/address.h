#pragma once

#include <string>

namespace pepeunit {

// What bounds for one address count as one: an IPv4 address, or the first 64 bits of an IPv6 address with `/64`, which
// is what one household or host gets: whoever has that has all addresses in it. Other texts are cut to 64 characters;
// empty for an empty one.
std::string AddressGroup(const std::string& address);

}  // namespace pepeunit
