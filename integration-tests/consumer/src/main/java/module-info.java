module com.example.consumer {
  requires org.parallelcomp.engine;
  requires org.parallelcomp.models.needle;
}
