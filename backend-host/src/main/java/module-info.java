/** Tensors in the host's memory, for the backends whose kernels read and write them in place. */
module org.parallelcomp.backend.host {
  requires transitive org.parallelcomp.api;
  requires jdk.management;
  requires static org.jspecify;

  exports org.parallelcomp.backend.host to
      org.parallelcomp.backend.cpu.vector,
      org.parallelcomp.backend.onnx;
}
