#include "pepeunit/postgres/params.h"

namespace pepeunit::postgres {

std::string ArrayOf(const std::vector<std::string>& ids) {
  std::string text;
  for (const std::string& id : ids) text += (text.empty() ? "" : ",") + id;
  return '{' + text + '}';
}

std::string ArrayOf(const std::vector<Uuid>& ids) {
  std::vector<std::string> texts;
  for (const Uuid& id : ids) texts.push_back(id.ToString());
  return ArrayOf(texts);
}

std::string Params::Add(std::string value, const std::string& type) {
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (values_[i] == value && places_[i].ends_with("::" + type)) return places_[i];
  }
  values_.push_back(std::move(value));
  places_.push_back("$" + std::to_string(values_.size()) + "::" + type);
  return places_.back();
}

pqxx::result Exec(pqxx::transaction_base& tx, const std::string& text, const Params& params) {
  return tx.exec_params(text, pqxx::prepare::make_dynamic_params(params.values()));
}

}  // namespace pepeunit::postgres
