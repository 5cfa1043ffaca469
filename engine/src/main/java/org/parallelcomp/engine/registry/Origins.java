package org.parallelcomp.engine.registry;

import java.security.CodeSource;

/** Where a class comes from, for messages. */
final class Origins {
  private Origins() {}

  static String of(Class<?> type) {
    if (type.getModule().isNamed()) {
      return "module " + type.getModule().getName();
    }
    CodeSource source = type.getProtectionDomain().getCodeSource();
    return source == null ? type.getName() : String.valueOf(source.getLocation());
  }
}
