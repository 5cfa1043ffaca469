/** The parallelcomp command; no tensor type appears here. */
module org.parallelcomp.cli {
  requires com.fasterxml.jackson.databind;
  requires info.picocli;
  requires java.logging;
  requires jdk.management;
  requires java.management;
  requires org.parallelcomp.engine;
  requires org.parallelcomp.eval;
  requires org.parallelcomp.models.needle;
  requires org.parallelcomp.report;
  requires static org.jspecify;

  opens org.parallelcomp.cli to
      info.picocli;

  uses java.util.spi.ToolProvider;
}
