/** The backend on ONNX Runtime. */
module org.parallelcomp.backend.onnx {
  requires org.parallelcomp.api;
  requires org.parallelcomp.backend.host;
  requires static org.jspecify;

  provides org.parallelcomp.api.backend.BackendProvider with
      org.parallelcomp.backend.onnx.OnnxBackendProvider;
}
