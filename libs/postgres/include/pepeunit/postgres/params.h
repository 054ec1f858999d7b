#pragma once

#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "pepeunit/base/uuid.h"

namespace pepeunit::postgres {

// The text of a uuid[]; the elements are UUIDs.
std::string ArrayOf(const std::vector<Uuid>& ids);
std::string ArrayOf(const std::vector<std::string>& ids);

// The values of a query, beside its text: each call gives what stands for the value in the text. One that is given
// again is the same parameter, so that equal questions have equal texts and are planned once (see Pool::Read).
// PostgreSQL refuses parameters that the text does not name.
class Params {
 public:
  std::string Id(const Uuid& id) { return Add(id.ToString(), "uuid"); }
  std::string Ids(const std::vector<Uuid>& ids) { return Add(ArrayOf(ids), "uuid[]"); }
  std::string Text(std::string text) { return Add(std::move(text), "text"); }

  const std::vector<std::string>& values() const { return values_; }

 private:
  std::string Add(std::string value, const std::string& type);

  std::vector<std::string> values_;  // the value of $1 first
  std::vector<std::string> places_;  // of each the expression for it
};

// Within a transaction.
pqxx::result Exec(pqxx::transaction_base& tx, const std::string& text, const Params& params);

}  // namespace pepeunit::postgres
