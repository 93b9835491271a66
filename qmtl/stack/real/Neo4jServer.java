import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.neo4j.dbms.api.DatabaseManagementServiceBuilder;

/** Neo4j Community with its Bolt connector: HOME CONFIGURATION PASSWORD_FILE. */
public class Neo4jServer {
    public static void main(String[] arguments) throws Exception {
        var server = new DatabaseManagementServiceBuilder(Path.of(arguments[0]))
            .loadPropertiesFromFile(Path.of(arguments[1]))
            .build();
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdown));
        var password = Files.readString(Path.of(arguments[2])).strip();
        server.database("system").executeTransactionally(
            "ALTER USER neo4j SET PASSWORD $password CHANGE NOT REQUIRED",
            Map.of("password", password));
        System.out.println("ready");
        Thread.currentThread().join();
    }
}
