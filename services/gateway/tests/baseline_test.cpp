#include <google/protobuf/descriptor.h>

#include <catch2/catch.hpp>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "bindings.h"
#include "descriptors.h"

// proto/baseline.binpb is the API as it was published. What it holds must stay: programs and devices of others rely on
// it. After additions, or a deliberate break, tools/update-proto-baseline writes it anew.

using namespace google::protobuf;

namespace {

std::unique_ptr<DescriptorPool> PoolOf(const FileDescriptorSet& files) {
  auto pool = std::make_unique<DescriptorPool>();
  for (const auto& file : files.file()) REQUIRE(pool->BuildFile(file) != nullptr);
  return pool;
}

void CompareEnum(const EnumDescriptor& was, const DescriptorPool& now, std::vector<std::string>* broken) {
  const EnumDescriptor* is = now.FindEnumTypeByName(was.full_name());
  if (is == nullptr) return broken->push_back("enum " + was.full_name() + " is gone");
  for (int i = 0; i < was.value_count(); ++i) {
    const EnumValueDescriptor* value = is->FindValueByName(was.value(i)->name());
    if (value == nullptr || value->number() != was.value(i)->number()) {
      broken->push_back(was.full_name() + "." + was.value(i)->name() + " is gone or has another number");
    }
  }
}

std::string TypeName(const FieldDescriptor& field) {
  if (field.message_type() != nullptr) return field.message_type()->full_name();
  if (field.enum_type() != nullptr) return field.enum_type()->full_name();
  return field.type_name();
}

void CompareMessage(const Descriptor& was, const DescriptorPool& now, std::vector<std::string>* broken) {
  const Descriptor* is = now.FindMessageTypeByName(was.full_name());
  if (is == nullptr) return broken->push_back("message " + was.full_name() + " is gone");
  for (int i = 0; i < was.field_count(); ++i) {
    const FieldDescriptor& field = *was.field(i);
    const FieldDescriptor* same = is->FindFieldByNumber(field.number());
    const auto oneof_of = [](const FieldDescriptor& f) {
      return f.real_containing_oneof() == nullptr ? std::string() : f.real_containing_oneof()->name();
    };
    if (same == nullptr || same->name() != field.name() || TypeName(*same) != TypeName(field) ||
        same->label() != field.label() || same->has_presence() != field.has_presence() ||
        oneof_of(*same) != oneof_of(field)) {
      broken->push_back(field.full_name() + " = " + std::to_string(field.number()) + " is gone or is something else");
    }
  }
  for (int i = 0; i < was.nested_type_count(); ++i) CompareMessage(*was.nested_type(i), now, broken);
  for (int i = 0; i < was.enum_type_count(); ++i) CompareEnum(*was.enum_type(i), now, broken);
}

void CompareService(const ServiceDescriptor& was, const DescriptorPool& now, std::vector<std::string>* broken) {
  const ServiceDescriptor* is = now.FindServiceByName(was.full_name());
  if (is == nullptr) return broken->push_back("service " + was.full_name() + " is gone");
  for (int i = 0; i < was.method_count(); ++i) {
    const MethodDescriptor& method = *was.method(i);
    const MethodDescriptor* same = is->FindMethodByName(method.name());
    if (same == nullptr || same->input_type()->full_name() != method.input_type()->full_name() ||
        same->output_type()->full_name() != method.output_type()->full_name() ||
        same->client_streaming() != method.client_streaming() ||
        same->server_streaming() != method.server_streaming()) {
      broken->push_back("rpc " + method.full_name() + " is gone or has another signature");
    }
  }
}

std::set<std::string> BindingTexts(const FileDescriptor& file) {
  std::set<std::string> texts;
  const auto bindings = pepeunit::gateway::BindingsOf(file);
  REQUIRE(bindings.ok());
  for (const auto& b : *bindings)
    texts.insert(b.method->full_name() + ": " + b.verb + " " + b.path.text() + " " + b.body);
  return texts;
}

std::vector<std::string> Compare(const FileDescriptorSet& was, const FileDescriptorSet& is) {
  const auto before = PoolOf(was), now = PoolOf(is);
  std::vector<std::string> broken;
  std::set<std::string> bindings;
  for (const auto& file : is.file()) bindings.merge(BindingTexts(*now->FindFileByName(file.name())));
  for (const auto& proto : was.file()) {
    const FileDescriptor& file = *before->FindFileByName(proto.name());
    if (!file.package().starts_with("pepeunit.")) continue;
    for (int i = 0; i < file.message_type_count(); ++i) CompareMessage(*file.message_type(i), *now, &broken);
    for (int i = 0; i < file.enum_type_count(); ++i) CompareEnum(*file.enum_type(i), *now, &broken);
    for (int i = 0; i < file.service_count(); ++i) CompareService(*file.service(i), *now, &broken);
    for (const auto& text : BindingTexts(file)) {
      if (!bindings.contains(text)) broken.push_back("binding " + text + " is gone");
    }
  }
  return broken;
}

}  // namespace

TEST_CASE("nothing that was published has changed") {
  const auto baseline = ReadDescriptors(PEPEUNIT_SOURCE_DIR "/proto/baseline.binpb");
  REQUIRE(baseline.file_size() > 10);
  for (const auto& broken : Compare(baseline, ReadDescriptors(PEPEUNIT_DESCRIPTORS))) {
    FAIL_CHECK(broken << " (see tools/update-proto-baseline)");
  }
}

TEST_CASE("the comparison finds every kind of break") {
  const auto good = ReadDescriptors(PEPEUNIT_DESCRIPTORS);
  const auto broken_by = [&](auto change) {
    auto files = good;
    for (auto& file : *files.mutable_file()) {
      if (file.name() == "pepeunit/graph/v1/users.proto") change(file);
    }
    return Compare(good, files).size();
  };
  CHECK(broken_by([](FileDescriptorProto&) {}) == 0);
  CHECK(broken_by([](FileDescriptorProto& f) { f.mutable_message_type(0)->mutable_field(0)->set_number(99); }) == 1);
  CHECK(broken_by([](FileDescriptorProto& f) { f.mutable_message_type(0)->mutable_field(0)->set_name("other"); }) == 1);
  CHECK(broken_by([](FileDescriptorProto& f) {
          f.mutable_message_type(0)->mutable_field(0)->set_label(FieldDescriptorProto::LABEL_REPEATED);
        }) == 1);
  CHECK(broken_by([](FileDescriptorProto& f) {
          f.mutable_message_type(0)->mutable_field(0)->set_type(FieldDescriptorProto::TYPE_BYTES);
        }) == 1);
  CHECK(broken_by([](FileDescriptorProto& f) { f.mutable_service(0)->mutable_method(0)->set_name("Other"); }) == 2);
  CHECK(broken_by([](FileDescriptorProto& f) { f.mutable_service(0)->mutable_method(0)->clear_options(); }) == 1);
  // The service, and each of its methods.
  std::size_t methods = 0;
  (void)broken_by([&](FileDescriptorProto& f) { methods = static_cast<std::size_t>(f.service(0).method_size()); });
  CHECK(broken_by([](FileDescriptorProto& f) { f.mutable_service(0)->set_name("OtherService"); }) == 1 + methods);
}
