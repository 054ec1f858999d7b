#include "pepeunit/postgres/params.h"

namespace pepeunit::postgres {

std::string Params::Add(std::string value, const std::string& type) {
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (values_[i] == value && places_[i].ends_with("::" + type)) return places_[i];
  }
  values_.push_back(std::move(value));
  places_.push_back("$" + std::to_string(values_.size()) + "::" + type);
  return places_.back();
}

std::string Params::Ids(const std::vector<Uuid>& ids) {
  std::string array = "{";
  for (const Uuid& id : ids) array += (array.size() > 1 ? "," : "") + id.ToString();
  return Add(array + '}', "uuid[]");
}

pqxx::result Exec(pqxx::transaction_base& tx, const std::string& text, const Params& params) {
  return tx.exec_params(text, pqxx::prepare::make_dynamic_params(params.values()));
}

}  // namespace pepeunit::postgres
