#pragma once

#include <string>
#include <vector>

namespace pepeunit::postgres {

// A numbered file of a service's migrations/, embedded at build: `0001_users.sql`.
struct Migration {
  std::string name;
  std::string sql;
};
using Migrations = std::vector<Migration>;

}  // namespace pepeunit::postgres
