#pragma once

#include <pqxx/pqxx>
#include <string>

#include "link_flow.h"

// Rows of the tables as the domain has them.
namespace pepeunit::state_logger {

Uuid ReadUuid(const pqxx::field& field);  // nil for NULL
bus::v1::Scalar ReadScalar(const pqxx::field& kind, const pqxx::field& number, const pqxx::field& text);

// The states of links for which `condition` and what follows it hold; those that there are.
LinkStates ReadLinks(pqxx::work& tx, const std::string& condition);

}  // namespace pepeunit::state_logger
