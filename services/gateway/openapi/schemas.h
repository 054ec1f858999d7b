#pragma once

#include <google/protobuf/descriptor.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace pepeunit::gateway {

using Json = nlohmann::ordered_json;

// Collects the schemas (JSON Schema 2020-12) of messages and enums as proto3's JSON shows them, each once, under
// #/components/schemas.
class Schemas {
 public:
  enum class Use { kRequest, kResponse };

  // The schema of one field, with its comment.
  Json OfField(const google::protobuf::FieldDescriptor& field, Use use);
  // A reference to the schema of a message; `without` are fields that the path already gives.
  Json Reference(const google::protobuf::Descriptor& message, Use use, const std::set<std::string>& without = {});
  // For what no message describes.
  void Add(const std::string& name, Json schema) { schemas_[name] = std::move(schema); }

  // All of them, sorted by name.
  Json Take();

 private:
  struct Message {
    Json schema;
    Json required;  // the fields that answers always have
    bool in_request = false;
  };

  Json OfSingle(const google::protobuf::FieldDescriptor& field, Use use);
  Json OfMessage(const google::protobuf::Descriptor& message, Use use);
  Json OfEnum(const google::protobuf::EnumDescriptor& type);
  void Define(const google::protobuf::Descriptor& message, Use use, const std::set<std::string>& without);

  std::map<std::string, Message> messages_;
  std::map<std::string, Json> schemas_;
};

// `#/components/schemas/<name>`
Json SchemaRef(const std::string& name);
// Our names are unique across packages; the generator's test holds them to it.
std::string SchemaName(const std::string& full_name);

}  // namespace pepeunit::gateway
