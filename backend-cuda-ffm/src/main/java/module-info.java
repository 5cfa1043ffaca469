/**
 * The CUDA backend: NVIDIA's driver, NVRTC, cuBLASLt and cuDNN, called through the foreign-function
 * API.
 */
module org.parallelcomp.backend.cuda.ffm {
  requires org.parallelcomp.api;
  requires static org.jspecify;

  provides org.parallelcomp.api.backend.BackendProvider with
      org.parallelcomp.backend.cuda.CudaBackendProvider;
}
