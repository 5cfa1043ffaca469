package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.backend.cuda.bindings.Nvrtc;

/** NVRTC: CUDA C++ to machine code. Needs the library and no device. */
public final class KernelCompiler {
  private KernelCompiler() {}

  /**
   * What is compiled. Everything in it changes the machine code.
   *
   * @param name of the source, for messages
   * @param text CUDA C++
   * @param headers texts by the names under which the source includes them
   * @param architecture as in {@code sm_90a}
   * @param options further options of the compiler
   */
  public record Request(
      String name,
      String text,
      Map<String, String> headers,
      String architecture,
      List<String> options) {
    public Request {
      headers = Map.copyOf(headers);
      options = List.copyOf(options);
    }

    /** Returns all options, the architecture among them. */
    List<String> allOptions() {
      var all = new ArrayList<String>();
      all.add("--gpu-architecture=" + architecture);
      all.addAll(options);
      return all;
    }
  }

  /**
   * Compiles to a cubin.
   *
   * @throws InferenceException DEVICE_FAILURE with the compiler's log
   */
  public static byte[] compile(Request request) {
    try (Arena arena = Arena.ofConfined()) {
      List<Map.Entry<String, String>> headers = List.copyOf(request.headers().entrySet());
      MemorySegment texts = strings(arena, headers.stream().map(Map.Entry::getValue).toList());
      MemorySegment names = strings(arena, headers.stream().map(Map.Entry::getKey).toList());
      MemorySegment source = arena.allocateFrom(request.text());
      MemorySegment name = arena.allocateFrom(request.name());
      MemorySegment program =
          Slots.pointer(
              Library.NVRTC,
              "nvrtcCreateProgram",
              out -> Nvrtc.nvrtcCreateProgram(out, source, name, headers.size(), texts, names));
      try {
        List<String> options = request.allOptions();
        int status = Nvrtc.nvrtcCompileProgram(program, options.size(), strings(arena, options));
        if (status == Nvrtc.NVRTC_ERROR_COMPILATION()) {
          throw new InferenceException(
              ErrorCode.DEVICE_FAILURE,
              "NVRTC cannot compile "
                  + request.name()
                  + " with "
                  + options
                  + ":\n"
                  + log(arena, program).strip());
        }
        Library.NVRTC.check("nvrtcCompileProgram(" + request.name() + ")", status);
        return cubin(arena, program);
      } finally {
        MemorySegment slot = arena.allocateFrom(ValueLayout.ADDRESS, program);
        Library.NVRTC.check("nvrtcDestroyProgram", Nvrtc.nvrtcDestroyProgram(slot));
      }
    }
  }

  private static byte[] cubin(Arena arena, MemorySegment program) {
    long size =
        Slots.word(
            Library.NVRTC, "nvrtcGetCUBINSize", out -> Nvrtc.nvrtcGetCUBINSize(program, out));
    MemorySegment code = arena.allocate(size);
    Library.NVRTC.check("nvrtcGetCUBIN", Nvrtc.nvrtcGetCUBIN(program, code));
    return code.toArray(ValueLayout.JAVA_BYTE);
  }

  private static String log(Arena arena, MemorySegment program) {
    long size =
        Slots.word(
            Library.NVRTC,
            "nvrtcGetProgramLogSize",
            out -> Nvrtc.nvrtcGetProgramLogSize(program, out));
    MemorySegment text = arena.allocate(Math.max(1, size));
    Library.NVRTC.check("nvrtcGetProgramLog", Nvrtc.nvrtcGetProgramLog(program, text));
    return text.getString(0);
  }

  private static MemorySegment strings(Arena arena, List<String> texts) {
    MemorySegment pointers = arena.allocate(ValueLayout.ADDRESS, Math.max(1, texts.size()));
    for (int i = 0; i < texts.size(); i++) {
      pointers.setAtIndex(ValueLayout.ADDRESS, i, arena.allocateFrom(texts.get(i)));
    }
    return pointers;
  }
}
