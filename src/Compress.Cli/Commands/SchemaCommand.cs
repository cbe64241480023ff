using System.CommandLine;
using Compress.Core.Recipes;

namespace Compress.Cli.Commands;

/// <summary><c>compress schema</c>: the JSON schema of recipes, for editors.</summary>
internal static class SchemaCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create(CommandHost host)
    {
        var command = new ExampleCommand("schema", "Prints the JSON schema of recipes, for completion and checks in an editor.",
            "schema > recipe.schema.json");
        host.Attach(command, (_, session) =>
        {
            var schema = RecipeSchema.Of(typeof(Recipe), Installed.Methods);
            return Task.FromResult(session.Write(schema, text => text.WriteLine(CommandSession.Indented(schema))));
        });
        return command;
    }
}
