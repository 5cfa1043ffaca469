package org.parallelcomp.it;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The project's jars on the class path of the tests: there from Maven's package phase on. */
final class Artifacts {
  private static final Pattern JAR = Pattern.compile("(parallelcomp-.+?)-\\d+[.]\\d.*[.]jar");

  private Artifacts() {}

  /** Returns every jar of the project by its artifact's name. */
  static Map<String, Path> jars() {
    var jars = new TreeMap<String, Path>();
    for (Path entry : classPath()) {
      Matcher name = JAR.matcher(String.valueOf(entry.getFileName()));
      if (name.matches()) {
        jars.put(name.group(1), entry);
      }
    }
    if (!jars.containsKey("parallelcomp-cli")) {
      throw new AssertionError(
          "The jars of the project are not on the class path, only folders of classes; run these"
              + " tests by 'mvn verify', which packages the modules first.");
    }
    return jars;
  }

  /** Returns the folder of the command's jar and everything it needs, as it is shipped. */
  static Path distribution() {
    Path folder = jars().get("parallelcomp-cli").toAbsolutePath().getParent();
    if (!Files.isRegularFile(folder.resolve(jars().get("parallelcomp-engine").getFileName()))) {
      throw new AssertionError(
          folder + " does not hold what the command needs; run these tests by 'mvn verify'.");
    }
    return folder;
  }

  /** Returns the class path of the tests. */
  static Iterable<Path> classPath() {
    return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
        .map(Path::of)
        .toList();
  }
}
