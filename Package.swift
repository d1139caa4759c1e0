// swift-tools-version:6.2
// Roost: a distributed vector store for the edge. The targets form a strict DAG:
// C shims and kernels <- Core <- {Storage, Wire, Wasm} <- Node <- tools.
import PackageDescription

let swiftFlags: [SwiftSetting] = [.swiftLanguageMode(.v6), .enableExperimentalFeature("Lifetimes")]

let package = Package(
  name: "roost",
  products: [
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
    .target(name: "Core", dependencies: ["CKernels", "CURing", "CLZ4"], swiftSettings: swiftFlags),
    .testTarget(name: "CoreTests", dependencies: ["Core", "CKernels"], swiftSettings: swiftFlags),
  ]
)
