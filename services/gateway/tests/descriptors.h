#pragma once

#include <google/protobuf/descriptor.pb.h>

#include <fstream>
#include <string>

// A descriptor set as protoc writes it; empty when the file is missing.
inline google::protobuf::FileDescriptorSet ReadDescriptors(const std::string& path) {
  google::protobuf::FileDescriptorSet files;
  std::ifstream in(path, std::ios::binary);
  files.ParseFromIstream(&in);
  return files;
}
