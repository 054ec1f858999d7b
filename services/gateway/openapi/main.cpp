#include <cstdlib>
#include <fstream>
#include <iostream>

#include "openapi.h"

// pepeunit-openapi DESCRIPTORS VERSION OUT: writes the OpenAPI document of a descriptor set. Runs at build time.
int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: " << argv[0] << " DESCRIPTORS VERSION OUT\n";
    return 2;
  }
  std::ifstream in(argv[1], std::ios::binary);
  google::protobuf::FileDescriptorSet files;
  if (!files.ParseFromIstream(&in)) {
    std::cerr << argv[1] << " is not a descriptor set\n";
    return EXIT_FAILURE;
  }
  const auto text = pepeunit::gateway::OpenApiOf(files, argv[2]);
  if (!text.ok()) {
    std::cerr << text.status().message() << '\n';
    return EXIT_FAILURE;
  }
  std::ofstream out(argv[3], std::ios::binary);
  out << *text;
  return out.flush() ? EXIT_SUCCESS : EXIT_FAILURE;
}
