using System.CommandLine;
using Compress.Core.Recipes;
using Compress.Distill.Training;

namespace Compress.Cli.Commands;

/// <summary><c>compress schema</c>: the JSON schema of recipes, for editors.</summary>
internal static class SchemaCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create(CommandHost host)
    {
        var kind = new Argument<string>("KIND") { Description = "Recipes of 'run' or of 'train'.", DefaultValueFactory = _ => "run" };
        kind.AcceptOnlyFromAmong("run", "train");
        var command = new ExampleCommand("schema", "Prints the JSON schema of recipes, for completion and checks in an editor.",
            "schema > recipe.schema.json", "schema train > train.schema.json")
        { kind };
        host.Attach(command, (parsed, session) =>
        {
            var recipe = parsed.GetValue(kind) == "train" ? typeof(TrainingRecipe) : typeof(Recipe);
            var schema = RecipeSchema.Of(recipe, Installed.Methods);
            return Task.FromResult(session.Write(schema, text => text.WriteLine(CommandSession.Indented(schema))));
        });
        return command;
    }
}
