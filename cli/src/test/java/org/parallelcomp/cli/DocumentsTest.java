package org.parallelcomp.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;

/** What the documents say is what the repository holds. */
class DocumentsTest {
  private static final Path ROOT = Path.of("..");

  @Test
  void readmeShowsTheCodeThatTheConsumerRuns() throws IOException {
    String code =
        Files.readString(
            ROOT.resolve("integration-tests/consumer/src/main/java/com/example/Ask.java"));
    Matcher marked =
        Pattern.compile("README: begin\n(.*?)\n *// README: end", Pattern.DOTALL).matcher(code);
    assertTrue(marked.find());
    Matcher shown =
        Pattern.compile("```java\n(.*?)\n```", Pattern.DOTALL)
            .matcher(Files.readString(ROOT.resolve("README.md")));
    assertTrue(shown.find());

    assertEquals(marked.group(1).stripIndent(), shown.group(1));
  }

  @Test
  void samplesHoldTheSentencesWhereTheirReadmeSays() throws IOException {
    String text;
    try (InputStream packed =
        new GZIPInputStream(
            Files.newInputStream(ROOT.resolve("samples/moby-dick-1-45-with-notes.txt.gz")))) {
      text = new String(packed.readAllBytes(), StandardCharsets.UTF_8);
    }
    String readme = Files.readString(ROOT.resolve("samples/README.md"));
    assertTrue(readme.contains(String.format(Locale.ROOT, "%,d characters", text.length())));
    Matcher row =
        Pattern.compile("^\\| ([^|]+\\.) \\| ([0-9,]+) \\|", Pattern.MULTILINE).matcher(readme);
    int rows = 0;
    for (; row.find(); rows++) {
      assertEquals(Integer.parseInt(row.group(2).replace(",", "")), text.indexOf(row.group(1)));
    }
    assertEquals(3, rows);
  }

  @Test
  void billOfMaterialsListsEveryModule() throws IOException {
    String bill = Files.readString(ROOT.resolve("bom/pom.xml"));
    Matcher module =
        Pattern.compile("<module>(.*)</module>").matcher(Files.readString(ROOT.resolve("pom.xml")));
    int jars = 0;
    while (module.find()) {
      String pom = Files.readString(ROOT.resolve(module.group(1)).resolve("pom.xml"));
      Matcher artifact = Pattern.compile("</parent>\\s*<artifactId>(.*)</artifactId>").matcher(pom);
      // Modules that are never published say so to the deploy plugin.
      if (artifact.find() && !pom.contains("maven.deploy.skip")) {
        jars++;
        assertTrue(
            bill.contains("<artifactId>" + artifact.group(1) + "</artifactId>"), artifact.group(1));
      }
    }
    assertTrue(jars >= 6, "only " + jars + " modules were seen");
  }

  @Test
  void readmeNamesEveryCommand() throws IOException {
    String readme = Files.readString(ROOT.resolve("README.md"));
    var streams = new Streams(InputStream.nullInputStream(), System.out, System.err, false);
    for (String name :
        new ParallelComp(new FakeEngine(), streams).commandLine().getSubcommands().keySet()) {
      assertTrue(readme.contains("`parallelcomp " + name), name);
    }
  }
}
