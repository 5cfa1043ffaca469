package org.parallelcomp.backend.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.parallelcomp.backend.cuda.ffi.KernelCompiler;

/**
 * The files of CUDA C++ beside this module's classes; how each kernel is called is in KERNELS.md.
 */
enum KernelSource {
  ELEMENTWISE,
  REDUCE,
  TOPK,
  LINALG,
  DECODER,
  QUANT,
  GEMV,
  ATTENTION,
  ATTENTION_TILES,
  CACHE;

  private static final String FOLDER = "/org/parallelcomp/backend/cuda/kernels/";
  private static final List<String> HEADERS = List.of("common.cuh", "blocks.cuh", "attention.cuh");

  /** No fast mathematics: the results are held against double precision. */
  private static final List<String> OPTIONS =
      List.of("--std=c++17", "--device-as-default-execution-space", "-lineinfo");

  /** Returns what to compile for an architecture. */
  KernelCompiler.Request request(String architecture) {
    Map<String, String> headers =
        HEADERS.stream().collect(Collectors.toMap(name -> name, KernelSource::text));
    String file = name().toLowerCase(Locale.ROOT) + ".cu";
    return new KernelCompiler.Request(file, text(file), headers, architecture, OPTIONS);
  }

  private static String text(String file) {
    try (InputStream in = KernelSource.class.getResourceAsStream(FOLDER + file)) {
      if (in == null) {
        throw new AssertionError("the module has no " + FOLDER + file);
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
