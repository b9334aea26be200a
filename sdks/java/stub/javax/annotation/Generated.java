package javax.annotation;

/** What the generated code is marked with. With Maven or Gradle, javax.annotation-api brings it. */
public @interface Generated {
    String[] value();

    String date() default "";

    String comments() default "";
}
