package org.parallelcomp.backend.host;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * The machine's memory of this moment.
 *
 * @param totalBytes what there is
 * @param freeBytes what can still be allocated
 */
public record SystemMemory(long totalBytes, long freeBytes) {
  private static final Path MEMINFO = Path.of("/proc/meminfo");

  /** Asks the operating system. */
  public static SystemMemory now() {
    var system =
        (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    long total = system.getTotalMemorySize();
    long free = system.getFreeMemorySize();
    // Linux counts what it could drop from its file cache only here.
    long available = Files.isReadable(MEMINFO) ? availableOnLinux() : -1;
    return new SystemMemory(total, Math.clamp(Math.max(free, available), 0, total));
  }

  private static long availableOnLinux() {
    try {
      return parseAvailable(Files.readAllLines(MEMINFO));
    } catch (IOException e) {
      // Without the file the figure of the bean stands, which is lower and so on the safe side.
      return -1;
    }
  }

  /** Returns the bytes of the line "MemAvailable: n kB", or -1 if there is none. */
  static long parseAvailable(List<String> lines) {
    for (String line : lines) {
      String[] words = line.split("\\s+");
      if (words.length == 3 && words[0].equals("MemAvailable:") && words[2].equals("kB")) {
        return Long.parseLong(words[1]) * 1024;
      }
    }
    return -1;
  }
}
