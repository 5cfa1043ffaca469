/** The CPU backend on the Vector API. */
module org.parallelcomp.backend.cpu.vector {
  requires org.parallelcomp.api;
  requires jdk.incubator.vector;
  requires static org.jspecify;
}
