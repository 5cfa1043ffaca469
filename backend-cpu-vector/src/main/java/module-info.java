/** The CPU backend on the Vector API. */
module org.parallelcomp.backend.cpu.vector {
  requires org.parallelcomp.api;
  requires org.parallelcomp.backend.host;
  requires jdk.incubator.vector;
  requires static org.jspecify;

  provides org.parallelcomp.api.backend.BackendProvider with
      org.parallelcomp.backend.cpu.vector.CpuBackendProvider;
}
