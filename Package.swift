// swift-tools-version:6.2
// Roost: a distributed vector store for the edge. The targets form a strict DAG:
// C shims and kernels <- Core <- {Storage, Gossip, Wire, Wasm} <- Node <- tools.
import PackageDescription

let swiftFlags: [SwiftSetting] = [.swiftLanguageMode(.v6), .enableExperimentalFeature("Lifetimes")]

let package = Package(
  name: "roost",
  products: [
    .library(name: "Storage", targets: ["Core", "Storage"]),
    .library(name: "RoostClient", targets: ["Core", "Wire"]),
    .executable(name: "roost", targets: ["roost"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
    .package(url: "https://github.com/LebJe/TOMLKit", exact: "0.6.0"),
  ],
  targets: [
    .target(name: "CKernels"),
    .systemLibrary(name: "CURing", pkgConfig: "liburing", providers: [.apt(["liburing-dev"])]),
    .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
    .systemLibrary(name: "CWasmtime", pkgConfig: "wasmtime"),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .target(name: "Core", dependencies: ["CKernels", "CURing", "CLZ4"], swiftSettings: swiftFlags),
    .target(name: "Storage", dependencies: ["Core", "CKernels", "CURing"], swiftSettings: swiftFlags),
    .target(name: "Gossip", dependencies: ["Core"], swiftSettings: swiftFlags),
    .target(name: "Wire", dependencies: ["Core"], swiftSettings: swiftFlags),
    .target(name: "Wasm", dependencies: ["Core", "CKernels", "CWasmtime"], swiftSettings: swiftFlags),
    .target(
      name: "Node",
      dependencies: [
        "Core", "COpenSSL", "Storage", "Wire", "Wasm", .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: swiftFlags),
    .executableTarget(
      name: "roost",
      dependencies: [
        "Core", "Storage", "Wire", "Wasm", "Node", "TOMLKit",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ],
      path: "tools/roost", swiftSettings: swiftFlags),
    .executableTarget(
      name: "bench",
      dependencies: [
        "Core", "CKernels", "Storage", "Gossip", "Wire", "Wasm", "Node",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ],
      path: "tools/bench",
      exclude: ["README.md", "datasets", "peers", "python", "report", "requirements.txt"],
      swiftSettings: swiftFlags),
    .executableTarget(
      name: "fuzz",
      dependencies: [
        "Core", "Storage", "Gossip", "Wire", "Wasm", "Node",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "tools/fuzz", swiftSettings: swiftFlags),
    .executableTarget(
      name: "sim",
      dependencies: ["Core", "Gossip", .product(name: "ArgumentParser", package: "swift-argument-parser")],
      path: "tools/sim", swiftSettings: swiftFlags),
    .executableTarget(
      name: "models",
      dependencies: ["Core", "CKernels", .product(name: "ArgumentParser", package: "swift-argument-parser")],
      path: "tools/models", swiftSettings: swiftFlags),
    .executableTarget(
      name: "embedded-example", dependencies: ["Core", "Storage"], path: "Examples/Embedded",
      swiftSettings: swiftFlags),
    .testTarget(name: "CoreTests", dependencies: ["Core", "CKernels"], swiftSettings: swiftFlags),
    .testTarget(
      name: "StorageTests", dependencies: ["Core", "CKernels", "Storage"], swiftSettings: swiftFlags),
    .testTarget(name: "GossipTests", dependencies: ["Core", "Gossip"], swiftSettings: swiftFlags),
    .testTarget(name: "WireTests", dependencies: ["Core", "Storage", "Wire"], swiftSettings: swiftFlags),
    .testTarget(
      name: "WasmTests", dependencies: ["Core", "CKernels", "CWasmtime", "Wasm"],
      exclude: ["Guests/EmbedderCheck.guest", "Guests/Golden", "Tensor/TensorCheck.guest"],
      swiftSettings: swiftFlags),
    .testTarget(
      name: "NodeTests", dependencies: ["Core", "Storage", "Wire", "Wasm", "Node"],
      swiftSettings: swiftFlags),
  ]
)
